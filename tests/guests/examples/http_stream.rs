//! Several exchanges in flight: sends `chunks` as the body to each of `urls`, with `headers`, then
//! reads each answer as it comes. Tells the order in which they ended.

use serde_json::json;
use soma_guests::soma::capsule::http::{Error, Header};
use soma_guests::soma::capsule::http_stream::{Exchange, RequestHead, start, wait};
use soma_guests::{Output, ToolError, parse, structured};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let input = parse(&input);
    let texts = |name: &str| -> Vec<String> {
        let list = input[name].as_array().into_iter().flatten();
        list.filter_map(|text| text.as_str().map(str::to_owned))
            .collect()
    };
    let headers = input["headers"].as_object().into_iter().flatten();
    let headers: Vec<Header> = headers
        .map(|(name, value)| Header {
            name: name.clone(),
            value: value.as_str().unwrap_or_default().to_owned(),
        })
        .collect();
    exchange_all(&texts("urls"), &headers, &texts("chunks"))
        .map_err(|error| ToolError::Failed(format!("{error:?}")))
}

fn exchange_all(urls: &[String], headers: &[Header], chunks: &[String]) -> Result<Output, Error> {
    let mut exchanges = Vec::new();
    for url in urls {
        exchanges.push((url, begin(url, headers)?, Vec::new()));
    }
    for (_, exchange, _) in &exchanges {
        for chunk in chunks {
            exchange.write(chunk.as_bytes())?;
        }
        exchange.finish()?;
    }
    let mut ended = Vec::new();
    while !exchanges.is_empty() {
        let waiting: Vec<&Exchange> = exchanges.iter().map(|(_, exchange, _)| exchange).collect();
        let first = wait(&waiting)[0] as usize;
        let (_, exchange, body) = &mut exchanges[first];
        match exchange.read(1 << 16)? {
            Some(piece) => body.extend(piece),
            None => {
                let (url, exchange, body) = exchanges.remove(first);
                ended.push(json!({
                    "url": url,
                    "status": exchange.head()?.status,
                    "body": String::from_utf8_lossy(&body),
                }));
            }
        }
    }
    Ok(structured(json!(ended).to_string()))
}

fn begin(url: &str, headers: &[Header]) -> Result<Exchange, Error> {
    start(&RequestHead {
        method: "POST".to_owned(),
        url: url.to_owned(),
        headers: headers.to_vec(),
        timeout_ms: None,
    })
}
