//! What a function must look like to be a tool, and what is said where it does not.

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, Ident, ItemFn, Lit, Meta, Pat, PatType, Result,
    ReturnType, Safety, Type, TypeImplTrait, TypeReference,
};

use crate::attributes::Attributes;

/// A function that can be a tool, taken apart.
pub(crate) struct Signature<'a> {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) parameters: Vec<Parameter<'a>>,
    pub(crate) output: &'a Type,
}

/// One parameter: a member of the tool's input.
pub(crate) struct Parameter<'a> {
    pub(crate) name: &'a Ident,
    pub(crate) attributes: &'a [Attribute],
    pub(crate) ty: &'a Type,
}

/// Says it in our words where what `#[tool]` stands on is no function.
pub(crate) fn explain(error: Error) -> Error {
    if error.to_string().starts_with("expected `fn`") {
        return Error::new(error.span(), "`#[tool]` goes on a function");
    }
    error
}

impl<'a> Signature<'a> {
    pub(crate) fn read(attributes: &Attributes, function: &'a ItemFn) -> Result<Self> {
        check_qualifiers(function)?;
        Ok(Self {
            name: name(attributes, function)?,
            description: description(function)?,
            parameters: function
                .sig
                .inputs
                .iter()
                .map(Parameter::read)
                .collect::<Result<_>>()?,
            output: output(function)?,
        })
    }
}

fn check_qualifiers(function: &ItemFn) -> Result<()> {
    let sig = &function.sig;
    let refusal = |at: &dyn ToTokens, why: &str| Err(Error::new_spanned(at.to_token_stream(), why));
    if let Some(token) = &sig.asyncness {
        return refusal(
            token,
            "a tool is not `async`: every call has an instance to itself and may simply wait",
        );
    }
    if let Safety::Unsafe(token) = &sig.safety {
        return refusal(token, "a tool is not `unsafe`");
    }
    if let Some(abi) = &sig.abi {
        return refusal(abi, "a tool is a plain function: leave out `extern`");
    }
    if !sig.generics.params.is_empty() {
        return refusal(
            &sig.generics.params,
            "a tool has no generic parameters: its schema is made from exact types",
        );
    }
    match &sig.variadic {
        Some(variadic) => refusal(variadic, "a tool has named parameters only"),
        None => Ok(()),
    }
}

fn name(attributes: &Attributes, function: &ItemFn) -> Result<String> {
    let (name, span) = match &attributes.name {
        Some(literal) => (literal.value(), literal.span()),
        None => (
            function.sig.ident.unraw().to_string(),
            function.sig.ident.span(),
        ),
    };
    let fits = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits {
        return Ok(name);
    }
    Err(Error::new(
        span,
        "a tool's name is 1 to 64 characters of a-z, A-Z, 0-9, `_` and `-`: \
         give it one with `#[tool(name = \"…\")]`",
    ))
}

/// The doc comment: the common indentation of its lines and blank ends taken away.
fn description(function: &ItemFn) -> Result<String> {
    let lines: Vec<String> = function.attrs.iter().filter_map(doc).collect();
    let lines: Vec<&str> = lines.iter().flat_map(|text| text.split('\n')).collect();
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let common = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(indent)
        .min()
        .unwrap_or(0);
    let text = lines
        .iter()
        .map(|line| line.get(common..).unwrap_or_default().trim_end())
        .collect::<Vec<_>>()
        .join("\n");
    match text.trim() {
        "" => Err(Error::new(
            function.sig.ident.span(),
            "a tool has a doc comment: a model chooses it by what that says",
        )),
        text => Ok(text.to_owned()),
    }
}

fn doc(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    match &pair.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) if pair.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

fn output(function: &ItemFn) -> Result<&Type> {
    const RESULT: &str = "a tool returns `Result<T, soma_sdk::Error>`";
    match &function.sig.output {
        ReturnType::Default => Err(Error::new(function.sig.ident.span(), RESULT)),
        ReturnType::Type(_, ty) => match ty.as_ref() {
            Type::Path(path)
                if path
                    .path
                    .segments
                    .last()
                    .is_some_and(|s| s.ident == "Result") =>
            {
                Ok(ty)
            }
            other => Err(Error::new_spanned(other, RESULT)),
        },
    }
}

impl<'a> Parameter<'a> {
    fn read(input: &'a FnArg) -> Result<Self> {
        let parameter = match input {
            FnArg::Typed(parameter) => parameter,
            FnArg::Receiver(receiver) => {
                return Err(Error::new_spanned(
                    receiver,
                    "a tool is a function, not a method: nothing outlives a call that `self` could be",
                ));
            }
        };
        for attribute in &parameter.attrs {
            check_attribute(attribute)?;
        }
        Owned::check(&parameter.ty)?;
        Ok(Self {
            name: parameter_name(parameter)?,
            attributes: &parameter.attrs,
            ty: &parameter.ty,
        })
    }
}

fn parameter_name(parameter: &PatType) -> Result<&Ident> {
    match parameter.pat.as_ref() {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => {
            Ok(&pattern.ident)
        }
        pattern => Err(Error::new_spanned(
            pattern,
            "a tool's parameter has a plain name, which is its name in the input",
        )),
    }
}

/// `#[serde(flatten)]` and the like have no place where unknown members are refused, and other
/// attributes none on a parameter.
fn check_attribute(attribute: &Attribute) -> Result<()> {
    let path = attribute.path();
    if path.is_ident("doc") || path.is_ident("schemars") {
        return Ok(());
    }
    if !path.is_ident("serde") {
        return Err(Error::new_spanned(
            attribute,
            "a parameter takes doc comments, `#[serde(…)]` and `#[schemars(…)]` only",
        ));
    }
    let Meta::List(list) = &attribute.meta else {
        return Err(Error::new_spanned(attribute, "expected `#[serde(…)]`"));
    };
    let flattens =
        list.tokens.clone().into_iter().any(
            |token| matches!(token, proc_macro2::TokenTree::Ident(ident) if ident == "flatten"),
        );
    if flattens {
        return Err(Error::new_spanned(
            attribute,
            "a parameter cannot be flattened: the input has no members but the parameters",
        ));
    }
    Ok(())
}

/// Finds what cannot be read from JSON and handed over: references and `impl Trait`.
#[derive(Default)]
struct Owned(Option<Error>);

impl Owned {
    fn check(ty: &Type) -> Result<()> {
        let mut owned = Self::default();
        owned.visit_type(ty);
        owned.0.map_or(Ok(()), Err)
    }
}

impl<'ast> Visit<'ast> for Owned {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        self.0.get_or_insert_with(|| {
            Error::new_spanned(reference,
                "a tool owns its parameters: take `String` for `&str`, `Vec<T>` for `&[T]`, `T` for `&T`",
            )
        });
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.0.get_or_insert_with(|| {
            Error::new_spanned(
                ty,
                "a tool has no `impl Trait` parameters: its schema is made from exact types",
            )
        });
        visit::visit_type_impl_trait(self, ty);
    }
}
