//! Reads settings by their types: a struct defines the keys of its section, and the type of a field defines how the text of a
//! variable is parsed. So each key is written once, in `settings.rs`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::de::value::SeqDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::de::Error;
use toml::{Table, Value};

use super::shown::Origin;

/// The requirement for a number.
pub(super) const WHOLE_NUMBER: &str = "a whole number is expected";
/// The requirement for a switch.
pub(super) const TRUE_OR_FALSE: &str = "`true` or `false` is expected";
/// The requirement for a list of texts.
pub(super) const TEXTS: &str = "texts separated by commas are expected";
/// The requirement for a list of tables.
pub(super) const TABLES: &str =
    "a TOML list of tables is expected, such as [{schedule = \"40 3 * * *\", overlap = \"26h\"}]";

/// The merged settings before they have types.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Sections and values.
    pub(super) table: Table,
    /// Where each key came from that somebody set. The value of a key from a variable is its text.
    pub(super) origins: BTreeMap<String, Origin>,
}

/// What was told while a section was read.
#[derive(Debug, Default)]
struct Told {
    /// Every key that a struct requested.
    keys: Vec<String>,
    /// What the texts of variables mean by the types of their keys; a text that stays a text is not in it.
    meant: BTreeMap<String, Value>,
}

/// A value that does not fit its type: the key, and what is wrong.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) key: String,
    pub(super) why: String,
}

impl Given {
    /// The section at a key (empty: all settings) as a type.
    pub(super) fn read<T: DeserializeOwned>(&self, section: &str) -> Result<T, Wrong> {
        self.read_and_tell(section, &RefCell::default())
    }

    /// The keys of a section's type, with the keys of its own sections. Sections without values are skipped.
    pub(super) fn keys<T: DeserializeOwned>(&self, section: &str) -> Vec<String> {
        self.told::<T>(section).keys
    }

    /// What the texts of variables mean by the types of a section's keys; a text that stays a text is not in it.
    pub(super) fn meant<T: DeserializeOwned>(&self, section: &str) -> BTreeMap<String, Value> {
        self.told::<T>(section).meant
    }

    fn told<T: DeserializeOwned>(&self, section: &str) -> Told {
        let told = RefCell::default();
        // The keys are collected even if a value does not fit.
        let _ = self.read_and_tell::<T>(section, &told);
        told.into_inner()
    }

    fn read_and_tell<T: DeserializeOwned>(&self, section: &str, told: &RefCell<Told>) -> Result<T, Wrong> {
        let whole = Value::Table(self.table.clone());
        let empty = Value::Table(Table::new());
        let reader = Reader {
            value: look_up(&whole, section).unwrap_or(&empty),
            key: section.to_owned(),
            origins: &self.origins,
            told,
        };
        serde_path_to_error::deserialize(reader).map_err(|error| {
            let below = error.path().to_string();
            // An entry of a list is not a key.
            let below = below.split('[').next().unwrap_or_default().trim_matches('.');
            Wrong {
                key: joined(section, below),
                why: error.inner().message().trim().to_owned(),
            }
        })
    }
}

/// The value of a key; for the empty key, all settings.
pub(super) fn look_up<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.').filter(|part| !part.is_empty());
    parts.try_fold(value, |value, part| value.get(part))
}

/// A TOML list in the text of a variable.
pub(super) fn list_in(text: &str) -> Option<Value> {
    let mut table = format!("list = {text}").parse::<Table>().ok()?;
    table.remove("list").filter(Value::is_array)
}

fn joined(section: &str, name: &str) -> String {
    match (section.is_empty(), name.is_empty()) {
        (true, _) => name.to_owned(),
        (_, true) => section.to_owned(),
        _ => format!("{section}.{name}"),
    }
}

/// Deserializes one value.
struct Reader<'a> {
    value: &'a Value,
    key: String,
    origins: &'a BTreeMap<String, Origin>,
    told: &'a RefCell<Told>,
}

impl<'a> Reader<'a> {
    /// The text of a variable.
    fn text(&self) -> Option<&'a str> {
        let is_text = matches!(self.origins.get(&self.key), Some(Origin::Variable(_)));
        self.value.as_str().filter(|_| is_text)
    }

    /// Tells what the text of a variable means.
    fn tell(&self, meant: Value) {
        self.told.borrow_mut().meant.insert(self.key.clone(), meant);
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.text().and_then(|text| text.trim().parse().ok()) {
            Some(number) => {
                self.tell(Value::Integer(number));
                visitor.visit_i64(number)
            }
            None => self.value.clone().deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.value.clone().deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.value.clone().deserialize_string(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.text().map(|text| text.trim().parse()) {
            Some(Ok(truth)) => {
                self.tell(Value::Boolean(truth));
                visitor.visit_bool(truth)
            }
            Some(Err(_)) => Err(Error::custom(TRUE_OR_FALSE)),
            None => self.value.clone().deserialize_bool(visitor),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.text().map(|text| text.trim().parse()) {
            Some(Ok(number)) => {
                self.tell(Value::Integer(number));
                visitor.visit_i64(number)
            }
            Some(Err(_)) => Err(Error::custom(WHOLE_NUMBER)),
            None => self.value.clone().deserialize_u32(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value.clone().deserialize_enum(name, variants, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Some(text) = self.text() else {
            return self.value.clone().deserialize_seq(visitor);
        };
        if text.trim_start().starts_with('[') {
            let list = list_in(text).ok_or_else(|| Error::custom(TEXTS))?;
            self.tell(list.clone());
            return list.deserialize_seq(visitor);
        }
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        self.tell(parts.clone().collect::<Vec<_>>().into());
        visitor.visit_seq(SeqDeserializer::new(parts.map(Part)))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let keys = fields.iter().map(|field| joined(&self.key, field));
        self.told.borrow_mut().keys.extend(keys);
        match self.value {
            Value::Table(_) => visitor.visit_map(Fields {
                section: self,
                left: fields.iter(),
                next: None,
            }),
            other => other.clone().deserialize_struct(name, fields, visitor),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple tuple_struct map
        identifier ignored_any
    }
}

/// The fields of a struct that its section has, in the order of the struct.
struct Fields<'a> {
    section: Reader<'a>,
    left: std::slice::Iter<'static, &'static str>,
    next: Option<Reader<'a>>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        for field in self.left.by_ref() {
            if let Some(value) = self.section.value.get(*field) {
                self.next = Some(Reader {
                    value,
                    key: joined(&self.section.key, field),
                    ..self.section
                });
                return seed.deserialize((*field).into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let reader = self.next.take();
        seed.deserialize(reader.ok_or_else(|| Error::custom("a value was asked for before its key"))?)
    }
}

/// One of the texts between the commas of a variable.
struct Part<'a>(&'a str);

impl IntoDeserializer<'_, Error> for Part<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Part<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        Err(Error::custom(TABLES))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}
