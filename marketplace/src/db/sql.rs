//! A statement that is put together at run time, in placeholders that both databases take:
//! sqlx's own builder writes `?`, which Postgres does not.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

/// Text of ours with values of others, which are bound and never text.
#[derive(Default)]
pub(crate) struct Sql {
    text: String,
    values: Vec<Value>,
}

enum Value {
    Text(String),
    Number(i64),
}

impl Sql {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(crate) fn text(&mut self, value: impl Into<String>) -> &mut Self {
        self.value(Value::Text(value.into()))
    }

    pub(crate) fn number(&mut self, value: i64) -> &mut Self {
        self.value(Value::Number(value))
    }

    fn value(&mut self, value: Value) -> &mut Self {
        self.values.push(value);
        self.text.push_str(&format!("${}", self.values.len()));
        self
    }

    /// Runs it and gives its rows.
    pub(crate) async fn fetch(self, connection: &mut AnyConnection) -> sqlx::Result<Vec<AnyRow>> {
        // Every piece of the text is a literal of this program.
        let mut query = sqlx::query(AssertSqlSafe(self.text));
        for value in self.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        query.fetch_all(connection).await
    }
}
