//! The serde side of types that are written as one text.

/// `From<T> for String` by `Display`, and `TryFrom<String>` by `FromStr`, for
/// `#[serde(into = "String", try_from = "String")]`.
macro_rules! as_text {
    ($type:ty, $error:ty) => {
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }
    };
}

pub(crate) use as_text;
