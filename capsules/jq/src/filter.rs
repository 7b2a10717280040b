//! A filter, compiled and run.

use jaq_core::data::{DataT, HasLut};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Lut, Vars};
use jaq_json::{Map, Val};
use jaq_std::input::{HasInputs, Inputs, RcIter};
use serde_json::value::RawValue;
use soma_sdk::Error;

use crate::{fault, json};

/// Formats of jq that the jaq libraries leave to their users.
const FORMATS: &str = include_str!("formats.jq");

/// A compiled filter and the values of its global variables.
pub(crate) struct Filter {
    compiled: jaq_core::Filter<Data>,
    variables: Vec<Val>,
}

/// What filters work on: values, and the inputs that `input` and `inputs` read.
struct Data;

#[derive(Clone)]
struct Globals<'a> {
    lut: &'a Lut<Data>,
    inputs: Inputs<'a, Val>,
}

impl DataT for Data {
    type V<'a> = Val;
    type Data<'a> = Globals<'a>;
}

impl<'a> HasLut<'a, Data> for Globals<'a> {
    fn lut(&self) -> &'a Lut<Data> {
        self.lut
    }
}

impl<'a> HasInputs<'a, Val> for Globals<'a> {
    fn inputs(&self) -> Inputs<'a, Val> {
        self.inputs
    }
}

impl Filter {
    /// Compiles `code`. `variables` are named with their `$`; `$ARGS.named` has them all, and
    /// `$ENV` is empty, as a guest's environment is.
    pub(crate) fn compile(code: &str, variables: Vec<(String, Val)>) -> Result<Self, Error> {
        let bare = |name: &str| Val::from(name.trim_start_matches('$').to_owned());
        let named: Map = variables
            .iter()
            .map(|(name, value)| (bare(name), value.clone()))
            .collect();
        let args = Map::from_iter([
            (bare("positional"), Val::Arr(Vec::new().into())),
            (bare("named"), Val::obj(named)),
        ]);
        let (mut names, mut values): (Vec<String>, Vec<Val>) = variables.into_iter().unzip();
        names.extend(["$ARGS".to_owned(), "$ENV".to_owned()]);
        values.extend([Val::obj(args), Val::obj(Map::default())]);

        let defs = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs())
            .chain(jaq_core::load::parse(FORMATS, |parser| parser.defs()).unwrap_or_default());
        let funs = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs())
            .chain(
                jaq_std::input::funs()
                    .into_vec()
                    .into_iter()
                    .map(jaq_core::native::run),
            );
        let arena = Arena::default();
        let modules = Loader::new(defs)
            .load(&arena, File { code, path: () })
            .map_err(|errors| fault::load(code, errors))?;
        let compiled = Compiler::default()
            .with_funs(funs)
            .with_global_vars(names.iter().map(String::as_str))
            .compile(modules)
            .map_err(|errors| fault::compile(code, errors))?;
        Ok(Self {
            compiled,
            variables: values,
        })
    }

    /// Runs it over the inputs in turn; the outputs of all, in order. `halt` ends it early.
    pub(crate) fn run(&self, inputs: Vec<Val>) -> Result<Vec<Box<RawValue>>, Error> {
        let inputs = RcIter::new(inputs.into_iter().map(Ok));
        let globals = Globals {
            lut: &self.compiled.lut,
            inputs: &inputs,
        };
        let mut outputs = Vec::new();
        for input in &inputs {
            let input = input.map_err(|why: String| Error::failed(why))?;
            let context = Ctx::<Data>::new(globals.clone(), Vars::new(self.variables.clone()));
            for output in self.compiled.id.run((context, input)) {
                match output {
                    Ok(output) => outputs.push(json::write(&output)?),
                    Err(exception) => match exception.get_err() {
                        Ok(error) => return Err(failed(error, outputs.len())),
                        Err(_halted) => return Ok(outputs),
                    },
                }
            }
        }
        Ok(outputs)
    }
}

/// A filter that failed while it ran: what it said, kept short, since it may quote its input.
fn failed(error: jaq_json::Error, outputs: usize) -> Error {
    const SHOWN: usize = 500;
    let mut message = match error.into_val() {
        Val::TStr(message) => String::from_utf8_lossy(&message).into_owned(),
        value => value.to_string(),
    };
    if let Some((end, _)) = message.char_indices().nth(SHOWN) {
        message.truncate(end);
        message.push('…');
    }
    let after = match outputs {
        0 => String::new(),
        1 => " after 1 output".to_owned(),
        n => format!(" after {n} outputs"),
    };
    Error::invalid_input(format!("the filter failed{after}: {message}"))
}
