//! The `#[tool]` attribute of soma-sdk. It emits glue only: what the glue does is in
//! `soma_sdk::glue`.

mod attributes;
mod expand;
mod signature;

use proc_macro::TokenStream;
use syn::ItemFn;

use attributes::Attributes;
use signature::Signature;

/// Makes a function a tool. The function itself stays as it is.
///
/// - Its name is the tool's name, its doc comment the description by which a model chooses it.
/// - Its parameters, all of them owned types with `serde::Deserialize` and `schemars::JsonSchema`,
///   are the members of the tool's input. An `Option<T>` may be left out; other members than
///   these are refused. A parameter's doc comment is its description, and its `#[serde(…)]` and
///   `#[schemars(…)]` attributes mean what they mean on a field.
/// - It returns `Result<T, E>`: `T` is `soma_sdk::Output`, or anything with `serde::Serialize`
///   and `schemars::JsonSchema`; `E` is `soma_sdk::Error` or whatever turns into it.
///
/// ```ignore
/// /// Finds tickets whose title or text contains all the words.
/// #[tool(title = "Search tickets", read_only, open_world)]
/// fn search(
///     /// What to look for.
///     words: String,
///     /// At most this many.
///     #[serde(default = "ten")]
///     #[schemars(range(min = 1, max = 100))]
///     limit: u8,
/// ) -> Result<Vec<Ticket>, Error> { … }
/// ```
///
/// The arguments, all optional, say what a client may assume before calling:
///
/// | argument | meaning |
/// |---|---|
/// | `name = "…"` | the tool's name, where it is not to be the function's |
/// | `title = "…"` | its name for people |
/// | `read_only` | it changes nothing outside the call |
/// | `destructive` | it may delete or overwrite |
/// | `idempotent` | calling twice has the effect of calling once |
/// | `open_world` | it talks to systems outside the host, such as the web |
#[proc_macro_attribute]
pub fn tool(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = match syn::parse::<ItemFn>(item.clone()) {
        Ok(function) => function,
        Err(error) => return refuse(&item.into(), &signature::explain(error)),
    };
    let expanded = syn::parse::<Attributes>(arguments).and_then(|attributes| {
        let signature = Signature::read(&attributes, &function)?;
        Ok(expand::tool(&attributes, &signature, &function))
    });
    match expanded {
        Ok(expanded) => expanded.into(),
        // The function stays, so that this error is the only one.
        Err(error) => refuse(&expand::plain(&function), &error),
    }
}

fn refuse(item: &proc_macro2::TokenStream, error: &syn::Error) -> TokenStream {
    let error = error.to_compile_error();
    quote::quote!(#item #error).into()
}
