//! Two tools that ask a service on the web, and tests that need no web.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use soma_sdk::{Error, Output, http, log, tool};

/// A place on the map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Place {
    name: String,
    country: Option<String>,
    latitude: f64,
    longitude: f64,
}

/// The weather at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Weather {
    /// Degrees Celsius, 2 m above ground.
    temperature_2m: f64,
    /// Kilometres per hour, 10 m above ground.
    wind_speed_10m: f64,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    results: Vec<Place>,
}

#[derive(Deserialize)]
struct Forecast {
    current: Weather,
}

/// Finds places by name, the likeliest first.
#[tool(title = "Find a place", read_only, idempotent, open_world)]
fn find_place(
    /// A name, such as a city's.
    name: String,
    /// At most this many.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 20))]
    limit: u8,
) -> Result<Vec<Place>, Error> {
    let found: Found = http::get("https://geocoding-api.open-meteo.com/v1/search")
        .query(&[("name", name.as_str()), ("count", &limit.to_string())])
        .send()?
        .error_for_status()?
        .json()?;
    if found.results.is_empty() {
        return Err(Error::not_found(format!("no place is called `{name}`")));
    }
    Ok(found.results)
}

fn five() -> u8 {
    5
}

/// Tells the weather at a place now.
#[tool(title = "Weather now", read_only, open_world)]
fn weather_now(
    /// Degrees north.
    #[schemars(range(min = -90.0, max = 90.0))]
    latitude: f64,
    /// Degrees east.
    #[schemars(range(min = -180.0, max = 180.0))]
    longitude: f64,
) -> Result<Output<Weather>, Error> {
    let forecast: Forecast = http::get("https://api.open-meteo.com/v1/forecast")
        .query(&[("latitude", latitude), ("longitude", longitude)])
        .query(&[("current", "temperature_2m,wind_speed_10m")])
        .send()?
        .error_for_status()?
        .json()?;
    let Weather {
        temperature_2m: temperature,
        wind_speed_10m: wind,
    } = forecast.current;
    log::info!("{temperature} °C at {latitude}, {longitude}");
    Ok(Output::new(forecast.current).with_text(format!("{temperature} °C, wind {wind} km/h")))
}

soma_sdk::capsule![find_place, weather_now];

#[cfg(test)]
mod tests {
    use soma_sdk::serde_json::json;
    use soma_sdk::testing::{self, Http};

    use super::*;

    const SEARCH: &str = "https://geocoding-api.open-meteo.com/v1/search";

    #[test]
    fn finds_places() {
        let _net = Http::new()
            .on_get(
                format!("{SEARCH}?name=New+York&count=1"),
                testing::reply(200).json(&json!({"results": [
                    {"id": 1, "name": "New York", "country": "United States", "latitude": 40.7, "longitude": -74.0}
                ]})),
            )
            .on_get(
                format!("{SEARCH}?name=Nowhere&count=1"),
                testing::reply(200).json(&json!({"generationtime_ms": 0.5})),
            );
        assert_eq!(find_place("New York".into(), 1).unwrap()[0].latitude, 40.7);
        let nowhere = find_place("Nowhere".into(), 1);
        assert!(matches!(nowhere, Err(Error::NotFound(_))), "{nowhere:?}");
    }

    #[test]
    fn tells_the_weather_as_data_and_as_text() {
        let net = Http::new().otherwise(|sent| {
            let current = json!({"temperature_2m": 21.5, "wind_speed_10m": 7.0});
            sent.url
                .starts_with("https://api.open-meteo.com/v1/forecast?")
                .then(|| testing::reply(200).json(&json!({"current": current})))
        });
        let answer = weather_now(40.7, -74.0).unwrap();
        assert_eq!(answer.structured.temperature_2m, 21.5);
        assert_eq!(
            answer.content,
            [soma_sdk::Content::Text("21.5 °C, wind 7 km/h".into())]
        );
        assert!(net.sent()[0].url.contains("latitude=40.7&longitude=-74"));
    }

    #[test]
    fn a_busy_service_says_when_to_come_back() {
        let busy = testing::reply(429).header("retry-after", "60");
        let _net = Http::new().otherwise(move |_| Some(busy.clone()));
        let error = weather_now(0.0, 0.0).unwrap_err();
        let a_minute = Some(std::time::Duration::from_secs(60));
        assert!(matches!(error, Error::RateLimited { retry_after, .. } if retry_after == a_minute));
    }
}
