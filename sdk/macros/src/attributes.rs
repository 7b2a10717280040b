//! What stands in the parentheses of `#[tool(…)]`.

use syn::parse::{Parse, ParseStream};
use syn::{Error, Ident, LitStr, Result, Token};

/// The arguments of `#[tool(…)]`, each at most once.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) title: Option<LitStr>,
    pub(crate) read_only: bool,
    pub(crate) destructive: bool,
    pub(crate) idempotent: bool,
    pub(crate) open_world: bool,
}

impl Parse for Attributes {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut attributes = Self::default();
        while !input.is_empty() {
            attributes.read_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(attributes)
    }
}

impl Attributes {
    fn read_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        let key: Ident = input.parse()?;
        match key.to_string().as_str() {
            "name" => text(&key, &mut self.name, input),
            "title" => text(&key, &mut self.title, input),
            "read_only" => flag(&key, &mut self.read_only),
            "destructive" => flag(&key, &mut self.destructive),
            "idempotent" => flag(&key, &mut self.idempotent),
            "open_world" => flag(&key, &mut self.open_world),
            _ => Err(Error::new(
                key.span(),
                "no such argument: `#[tool]` takes `name = \"…\"`, `title = \"…\"`, `read_only`, \
                 `destructive`, `idempotent` and `open_world`",
            )),
        }?;
        if self.read_only && self.destructive {
            return Err(Error::new(
                key.span(),
                "a tool that is `read_only` cannot be `destructive`",
            ));
        }
        Ok(())
    }
}

fn text(key: &Ident, place: &mut Option<LitStr>, input: ParseStream<'_>) -> Result<()> {
    input.parse::<Token![=]>()?;
    let value: LitStr = input.parse()?;
    if value.value().trim().is_empty() {
        return Err(Error::new(value.span(), format!("`{key}` is empty")));
    }
    match place.replace(value) {
        Some(_) => Err(twice(key)),
        None => Ok(()),
    }
}

fn flag(key: &Ident, place: &mut bool) -> Result<()> {
    if std::mem::replace(place, true) {
        return Err(twice(key));
    }
    Ok(())
}

fn twice(key: &Ident) -> Error {
    Error::new(key.span(), format!("`{key}` is given twice"))
}
