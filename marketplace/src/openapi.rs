//! The OpenAPI document, at `/v1/openapi.json`. What it says of a path stands beside the path's
//! handler; here is what holds for all of them.

use std::collections::BTreeMap;

use soma_capability::Name;
use soma_registry::api::Problem;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, Object, OpenApi as Document, Ref, RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, PartialSchema as _, ToSchema as _};

use crate::error::Error;
use crate::path::{IdPath, NamespacePath, PackagePath, ReleasePath};

/// Everything but the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "SomaGent marketplace",
        description = "Where authors publish capsules and operators find them. Every change is a \
                       DSSE envelope signed by an owner's key and becomes a leaf of a C2SP \
                       tlog-tiles log; a token only opens the door. `/v2/` is the OCI distribution \
                       specification's."
    ),
    // Its path in the router is a wildcard, which OpenAPI does not know.
    paths(crate::routes::log::resource),
    components(schemas(Problem)),
    modifiers(&Token)
)]
pub(crate) struct Api;

/// How a token is shown.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("A token of a login, or one made with it.".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// Every refusal is a problem.
impl IntoResponses for Error {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problem = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name(Problem::name())))
            .build();
        let refused = ResponseBuilder::new()
            .description("A problem, as RFC 9457 has them; `type` says which.")
            .content("application/problem+json", problem)
            .build();
        BTreeMap::from([("default".to_owned(), refused.into())])
    }
}

impl IntoParams for NamespacePath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![in_path("namespace", Name::schema())]
    }
}

impl IntoParams for PackagePath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        ["namespace", "name"]
            .map(|name| in_path(name, Name::schema()))
            .into()
    }
}

impl IntoParams for ReleasePath {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut all = PackagePath::into_params(place);
        all.push(in_path("version", Object::with_type(Type::String)));
        all
    }
}

impl IntoParams for IdPath {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let id = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9a-fA-F-]{1,64}$"));
        vec![in_path("id", id)]
    }
}

fn in_path(name: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}
