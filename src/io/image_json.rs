//! Requests for predictions as JSON: `{"images": [...], "top": 3}`, whose images are texts or nested lists of numbers.
//!
//! Lists of numbers go straight into arrays: no value of JSON is made for each of millions of pixels.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// One image of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Image {
    /// A text: a file in base64.
    Text(String),
    /// Nested lists of numbers, or one number, whose shape is empty.
    Pixels {
        /// The lengths of the lists, the outermost first.
        shape: Vec<usize>,
        /// The numbers in their order.
        values: Vec<f32>,
    },
}

/// What a request says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The images; none where there is no list of them.
    pub images: Option<Vec<Image>>,
    /// The value of `top`, as JSON; none where it is not given.
    pub top: Option<String>,
    /// Whether the document is an object.
    pub is_object: bool,
}

/// Reads a request.
///
/// # Errors
/// The content is no JSON, has a key that is none of these, or an image is ragged or no text and no numbers; the text
/// says which and where.
pub fn parse(content: &[u8]) -> Result<Request, String> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut reader = serde_json::Deserializer::from_slice(content);
    let request = Document.deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(request)
}

/// What stands at the top of a document.
struct Document;

impl<'de> DeserializeSeed<'de> for Document {
    type Value = Request;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Request, D::Error> {
        reader.deserialize_any(self)
    }
}

/// Methods of a visitor for what it does not look into.
macro_rules! ignored {
    ($value:expr) => {
        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            $value
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            $value
        }
    };
}

/// The same for numbers.
macro_rules! numbers {
    ($self:ident, $number:ident => $value:expr) => {
        #[allow(clippy::cast_precision_loss, reason = "pixels are numbers of 32 bits")]
        fn visit_u64<E: Error>($self, number: u64) -> Result<Self::Value, E> {
            let $number = number as f64;
            $value
        }
        #[allow(clippy::cast_precision_loss, reason = "pixels are numbers of 32 bits")]
        fn visit_i64<E: Error>($self, number: i64) -> Result<Self::Value, E> {
            let $number = number as f64;
            $value
        }
        fn visit_f64<E: Error>($self, $number: f64) -> Result<Self::Value, E> {
            $value
        }
    };
}

impl<'de> Visitor<'de> for Document {
    type Value = Request;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    ignored!(Ok(Request::default()));
    numbers!(self, _number => Ok(Request::default()));

    fn visit_str<E: Error>(self, _: &str) -> Result<Request, E> {
        Ok(Request::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Request, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Request::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
        let mut found = Request { is_object: true, ..Request::default() };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "images" => found.images = map.next_value_seed(Images)?,
                "top" => found.top = Some(map.next_value::<Value>()?.to_string()),
                _ => return Err(Error::custom(format!("no {key:?}; expected images and top"))),
            }
        }
        Ok(found)
    }
}

/// The list of images; none for what is no list.
struct Images;

impl<'de> DeserializeSeed<'de> for Images {
    type Value = Option<Vec<Image>>;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Images {
    type Value = Option<Vec<Image>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of images")
    }

    ignored!(Ok(None));
    numbers!(self, _number => Ok(None));

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        loop {
            let mut pixels = Pixels { number: found.len(), shape: Vec::new(), values: Vec::new(), leaves: None };
            match list.next_element_seed(Entry { depth: 0, pixels: &mut pixels })? {
                None => return Ok(Some(found)),
                Some(Some(text)) => found.push(Image::Text(text)),
                Some(None) => {
                    let shape = pixels.shape.iter().map(|length| length.unwrap_or(0)).collect();
                    found.push(Image::Pixels { shape, values: pixels.values });
                }
            }
        }
    }
}

/// Numbers of an image, as far as they have been read.
struct Pixels {
    /// The place of the image.
    number: usize,
    /// For each depth the length of the lists there, once one has ended.
    shape: Vec<Option<usize>>,
    values: Vec<f32>,
    /// The depth of the numbers.
    leaves: Option<usize>,
}

impl Pixels {
    fn error<E: Error>(&self, received: &str) -> E {
        E::custom(format!("images[{}]: expected rows of pixels, received {received}", self.number))
    }
}

/// An image, or a list or a number in it; gives its text if it is one.
struct Entry<'a> {
    depth: usize,
    pixels: &'a mut Pixels,
}

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = Option<String>;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = Option<String>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a file in base64 or rows of pixels")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Err(self.pixels.error("a truth value"))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Err(self.pixels.error("null"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.pixels.error("an object"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        if self.depth == 0 { Ok(Some(text)) } else { Err(self.pixels.error("a text among them")) }
    }

    numbers!(self, number => {
        let pixels = self.pixels;
        if *pixels.leaves.get_or_insert(self.depth) != self.depth || pixels.shape.len() > self.depth {
            return Err(pixels.error("rows of different depths"));
        }
        #[allow(clippy::cast_possible_truncation, reason = "pixels are numbers of 32 bits")]
        pixels.values.push(number as f32);
        Ok(None)
    });

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let Entry { depth, pixels } = self;
        if pixels.leaves.is_some_and(|leaves| leaves <= depth) {
            return Err(pixels.error("rows of different depths"));
        }
        if pixels.shape.len() == depth {
            pixels.shape.push(None);
        }
        let mut count = 0;
        while list.next_element_seed(Entry { depth: depth + 1, pixels: &mut *pixels })?.is_some() {
            count += 1;
        }
        match pixels.shape[depth] {
            Some(length) if length != count => Err(pixels.error(&format!("rows of {length} and of {count}"))),
            _ => {
                pixels.shape[depth] = Some(count);
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(text: &str) -> Vec<Image> {
        parse(text.as_bytes()).unwrap().images.unwrap()
    }

    fn pixels(shape: &[usize], values: &[f32]) -> Image {
        Image::Pixels { shape: shape.to_vec(), values: values.to_vec() }
    }

    #[test]
    fn texts_and_numbers_of_any_depth() {
        let found = images(r#"{"images": ["aGk=", [[[1, 2.5]], [[3e1, -4]]], [], 7, [[], []], "\u00e4"]}"#);
        let expected = [
            Image::Text("aGk=".into()),
            pixels(&[2, 1, 2], &[1.0, 2.5, 30.0, -4.0]),
            pixels(&[0], &[]),
            pixels(&[], &[7.0]),
            pixels(&[2, 0], &[]),
            Image::Text("ä".into()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_rest_of_the_document() {
        let found = parse(b"\xef\xbb\xbf{\"top\": [1], \"images\": []}").unwrap();
        assert_eq!((found.top.as_deref(), found.images), (Some("[1]"), Some(vec![])));
        for text in ["[]", "3", "null", "\"a\"", "true", "-1", "1.5", "[[1], {}]"] {
            assert_eq!(parse(text.as_bytes()).unwrap(), Request::default(), "{text}");
        }
        for text in [r#"{"images": 3}"#, r#"{"images": {"a": [1]}}"#, r#"{"images": null}"#, "{}"] {
            let found = parse(text.as_bytes()).unwrap();
            assert!(found.is_object && found.images.is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("{", "EOF"),
            ("{} {}", "trailing"),
            (r#"{"tops": 1}"#, "no \"tops\"; expected images and top"),
            (r#"{"images": [[[1], [2, 3]]]}"#, "images[0]: expected rows of pixels, received rows of 1 and of 2"),
            (r#"{"images": [1, [[1], 2]]}"#, "images[1]: expected rows of pixels, received rows of different depths"),
            (r#"{"images": [[1, [2]]]}"#, "rows of different depths"),
            (r#"{"images": [[[], 2]]}"#, "rows of different depths"),
            (r#"{"images": [["a"]]}"#, "received a text among them"),
            (r#"{"images": [null]}"#, "received null"),
            (r#"{"images": [[NaN]]}"#, "expected value"),
        ];
        for (text, message) in cases {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        let deep = format!("{{\"images\": {}", "[".repeat(50_000));
        assert!(parse(deep.as_bytes()).unwrap_err().contains("recursion"));
    }
}
