//! The code that `#[tool]` adds to a function.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{FnArg, ItemFn};

use crate::attributes::Attributes;
use crate::signature::{Parameter, Signature};

/// The function without the attributes on its parameters, which only `#[tool]` understands.
pub(crate) fn plain(function: &ItemFn) -> TokenStream {
    let mut function = function.clone();
    for input in &mut function.sig.inputs {
        match input {
            FnArg::Typed(parameter) => parameter.attrs.clear(),
            FnArg::Receiver(receiver) => receiver.attrs.clear(),
        }
    }
    quote! {
        #[allow(clippy::needless_pass_by_value, reason = "a tool owns its parameters")]
        #function
    }
}

/// The function, a type of the same name, and `Tool` implemented for it.
pub(crate) fn tool(
    attributes: &Attributes,
    signature: &Signature<'_>,
    function: &ItemFn,
) -> TokenStream {
    let plain = plain(function);
    let (vis, ident) = (&function.vis, &function.sig.ident);
    let constants = constants(attributes, signature);
    let output = signature.output;
    let names: Vec<_> = signature.parameters.iter().map(|p| p.name).collect();
    let input = input(&signature.parameters);
    quote! {
        #plain

        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "it goes by the function's name")]
        #vis struct #ident {}

        const _: () = {
            #input

            impl ::soma_sdk::Tool for #ident {
                #constants

                fn input_schema() -> ::soma_sdk::serde_json::Value {
                    ::soma_sdk::glue::input_schema::<__Input>()
                }

                fn output_schema() -> ::core::option::Option<::soma_sdk::serde_json::Value> {
                    ::soma_sdk::glue::output_schema::<#output>()
                }

                fn call(
                    input: &str,
                ) -> ::core::result::Result<::soma_sdk::glue::Reply, ::soma_sdk::Error> {
                    let __Input { #(#names),* } = ::soma_sdk::glue::read_input(input)?;
                    ::soma_sdk::glue::reply(#ident(#(#names),*))
                }
            }
        };
    }
}

fn constants(attributes: &Attributes, signature: &Signature<'_>) -> TokenStream {
    let Attributes {
        title,
        read_only,
        destructive,
        idempotent,
        open_world,
        ..
    } = attributes;
    let (name, description) = (&signature.name, &signature.description);
    let title = match title {
        Some(title) => quote!(::core::option::Option::Some(#title)),
        None => quote!(::core::option::Option::None),
    };
    quote! {
        const NAME: &'static str = #name;
        const TITLE: ::core::option::Option<&'static str> = #title;
        const DESCRIPTION: &'static str = #description;
        const ANNOTATIONS: ::soma_sdk::Annotations = ::soma_sdk::Annotations {
            read_only: #read_only,
            destructive: #destructive,
            idempotent: #idempotent,
            open_world: #open_world,
        };
    }
}

fn input(parameters: &[Parameter<'_>]) -> TokenStream {
    let fields = parameters.iter().map(|parameter| {
        let Parameter {
            name,
            attributes,
            ty,
        } = parameter;
        quote!(#(#attributes)* #name: #ty)
    });
    quote! {
        #[derive(::soma_sdk::glue::serde::Deserialize, ::soma_sdk::glue::schemars::JsonSchema)]
        #[serde(crate = "::soma_sdk::glue::serde", deny_unknown_fields)]
        #[schemars(crate = "::soma_sdk::glue::schemars")]
        struct __Input {
            #(#fields),*
        }
    }
}
