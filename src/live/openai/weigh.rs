//! How much a prompt is, counted while it is read and not kept: texts by their bytes, lists of token ids by their length.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a prompt, or a conversation, is made of.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Prompts: more than one where there is a list of texts or of lists.
    pub prompts: u32,
    /// Token ids.
    pub ids: u64,
    /// Bytes of text (UTF-8, escapes undone).
    pub text_bytes: u64,
    /// Messages of a conversation.
    pub messages: u32,
    /// Parts of messages that are no text, such as images.
    pub other_parts: u32,
}

/// A `prompt` or `input`: a text, token ids, or a list of either.
#[derive(Default)]
pub(super) struct Prompt(pub Weight);

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;

        impl<'de> Visitor<'de> for Whole {
            type Value = Prompt;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a list of texts, a list of token ids or a list of such lists")
            }

            fn visit_str<E>(self, text: &str) -> Result<Prompt, E> {
                Ok(Prompt(Weight { prompts: 1, text_bytes: text.len() as u64, ..Weight::default() }))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Prompt, A::Error> {
                let mut weight = Weight::default();
                let mut own_ids = false;
                while let Some(item) = list.next_element()? {
                    match item {
                        Item::Id => {
                            own_ids = true;
                            weight.ids += 1;
                        }
                        Item::Text(bytes) => {
                            weight.prompts = weight.prompts.saturating_add(1);
                            weight.text_bytes += bytes;
                        }
                        Item::Ids(ids) => {
                            weight.prompts = weight.prompts.saturating_add(1);
                            weight.ids += ids;
                        }
                    }
                }
                weight.prompts = weight.prompts.saturating_add(u32::from(own_ids));
                Ok(Prompt(weight))
            }
        }

        deserializer.deserialize_any(Whole)
    }
}

/// An element of a list of prompts.
enum Item {
    Id,
    Text(u64),
    Ids(u64),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Element;

        impl<'de> Visitor<'de> for Element {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a token id, a text or a list of token ids")
            }

            fn visit_u64<E>(self, _id: u64) -> Result<Item, E> {
                Ok(Item::Id)
            }

            fn visit_i64<E: Error>(self, id: i64) -> Result<Item, E> {
                Err(E::custom(format_args!("{id} is not a token id")))
            }

            fn visit_str<E>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text(text.len() as u64))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Item, A::Error> {
                let mut ids = 0;
                while list.next_element::<u64>()?.is_some() {
                    ids += 1;
                }
                Ok(Item::Ids(ids))
            }
        }

        deserializer.deserialize_any(Element)
    }
}

/// All texts in anything, keys included: what a template writes out of tools and their calls.
#[derive(Default)]
pub(super) struct Texts(pub u64);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(text.len() as u64))
            }

            fn visit_unit<E>(self) -> Result<Texts, E> {
                Ok(Texts(0))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Texts, E> {
                Ok(Texts(0))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Texts, E> {
                Ok(Texts(0))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Texts, E> {
                Ok(Texts(0))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Texts, E> {
                Ok(Texts(0))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut sum = 0;
                while let Some(Texts(bytes)) = list.next_element()? {
                    sum += bytes;
                }
                Ok(Texts(sum))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut sum = 0;
                while let Some((Texts(key), Texts(value))) = map.next_entry()? {
                    sum += key + value;
                }
                Ok(Texts(sum))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// A conversation's `messages`.
#[derive(Default)]
pub(super) struct Messages(pub Weight);

#[derive(serde::Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    tool_calls: Option<Texts>,
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Messages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Messages, A::Error> {
                let mut weight = Weight { prompts: 1, ..Weight::default() };
                while let Some(Message { content, tool_calls }) = list.next_element()? {
                    weight.messages = weight.messages.saturating_add(1);
                    let Content { text_bytes, other_parts } = content.unwrap_or_default();
                    weight.text_bytes += text_bytes + tool_calls.unwrap_or_default().0;
                    weight.other_parts = weight.other_parts.saturating_add(other_parts);
                }
                Ok(Messages(weight))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// A message's content: a text, or parts of which some are texts.
#[derive(Default)]
struct Content {
    text_bytes: u64,
    other_parts: u32,
}

#[derive(serde::Deserialize)]
struct Part {
    #[serde(default)]
    text: Option<Length>,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;

        impl<'de> Visitor<'de> for Parts {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of parts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content { text_bytes: text.len() as u64, other_parts: 0 })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content, A::Error> {
                let mut content = Content::default();
                while let Some(Part { text }) = list.next_element()? {
                    match text {
                        Some(Length(bytes)) => content.text_bytes += bytes,
                        None => content.other_parts = content.other_parts.saturating_add(1),
                    }
                }
                Ok(content)
            }
        }

        deserializer.deserialize_any(Parts)
    }
}

/// The length of a text, bytes.
pub(super) struct Length(pub u64);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Length, E> {
                Ok(Length(text.len() as u64))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// Whether something is there that is not null.
pub(super) type There = Option<IgnoredAny>;
