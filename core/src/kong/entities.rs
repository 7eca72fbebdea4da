//! A configuration's entities, found and told apart without being read as values.

mod ids;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;

use serde_json::{Map, Value};

use self::ids::Ids;
use super::configuration::Configuration;
use super::entity_name;
use crate::json::{Error, Lexer, Text};

/// All entities of a configuration.
pub(crate) struct Entities<'a> {
    /// By kind, in the order of the text.
    pub(crate) kinds: BTreeMap<String, Vec<Entity<'a>>>,
    ids: Ids,
    /// The kinds and ids of those that share their id with an entity of another kind.
    namesakes: HashSet<(String, Cow<'a, str>)>,
    rest: Map<String, Value>,
}

/// One entity. There may be millions, so it takes 24 bytes: its id stays where it stands in its JSON.
pub(crate) struct Entity<'a> {
    /// Its JSON.
    pub(crate) json: &'a [u8],
    id: Option<Id>,
}

/// Where the JSON of an entity's id lies in that of the entity.
#[derive(Clone, Copy)]
struct Id {
    at: u32,
    /// With its quotes, so it isn't 0.
    length: NonZeroU32,
}

impl<'a> Entities<'a> {
    pub(crate) fn of(configuration: &'a Configuration) -> Self {
        let (ids, namesakes) = (Ids::default(), HashSet::new());
        let mut found = Self { kinds: BTreeMap::new(), ids, namesakes, rest: Map::new() };
        found.read(configuration).expect("a configuration is known to be JSON since it was made");
        (found.ids, found.namesakes) = Ids::of(&found.kinds);
        found
    }

    fn read(&mut self, configuration: &'a Configuration) -> Result<(), Error> {
        Lexer::new(configuration.json())?.members(|lexer, name| {
            let member = text(name.content()).into_owned();
            // Of members with the same name the last one counts.
            self.kinds.remove(&member);
            self.rest.remove(&member);

            if lexer.peek()? != b'[' {
                let value = lexer.value(&mut ())?;
                self.rest.insert(member, serde_json::from_slice(value).unwrap_or_else(|_| unread(value)));
                return Ok(());
            }

            // Of this size, since a list that grows has twice that for a moment.
            let mut entities = Vec::with_capacity(configuration.counts().get(&member) as usize);
            lexer.elements(|lexer| {
                let json = lexer.value(&mut ())?;
                entities.push(Entity { json, id: Id::of(json)? });
                Ok(())
            })?;
            self.kinds.insert(member, entities);
            Ok(())
        })
    }

    pub(crate) fn of_kind(&self, kind: &str) -> &[Entity<'a>] {
        self.kinds.get(kind).map_or(&[], Vec::as_slice)
    }

    /// What stands beside the entities: `_format_version` and the like.
    pub(crate) fn rest(&self) -> &Map<String, Value> {
        &self.rest
    }

    /// Whether there is an entity of this kind with this id.
    pub(crate) fn has(&self, kind: &str, id: &str) -> bool {
        self.ids.find(&self.kinds, id).is_some_and(|(found, _)| found == kind)
            || !self.namesakes.is_empty() && self.namesakes.contains(&(kind.to_owned(), Cow::Borrowed(id)))
    }

    /// What people call an entity of this kind.
    pub(crate) fn name(&self, kind: &str, entity: &Entity<'_>) -> String {
        entity_name::of(kind, &entity.members(), |id| self.name_of_id(id))
    }

    /// What people call the entity with this id, if there is one: without whose it is, so that no circle of references
    /// can be walked.
    pub(crate) fn name_of_id(&self, id: &str) -> Option<String> {
        let (kind, entity) = self.ids.find(&self.kinds, id)?;
        Some(entity_name::of(kind, &entity.members(), |_| None))
    }
}

impl<'a> Entity<'a> {
    /// Its id, if it has one.
    pub(crate) fn id(&self) -> Option<Cow<'a, str>> {
        self.id_bytes().map(text)
    }

    pub(crate) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// What tells it from others of its kind: its id, or else all that it is.
    pub(crate) fn identity(&self) -> (bool, Cow<'a, [u8]>) {
        self.id_bytes().map_or((false, Cow::Borrowed(self.json)), |id| (true, id))
    }

    fn id_bytes(&self) -> Option<Cow<'a, [u8]>> {
        let Id { at, length } = self.id?;
        let quoted = &self.json[at as usize..][..length.get() as usize];
        let raw = &quoted[1..quoted.len() - 1];
        Some(Text { raw, escaped: raw.contains(&b'\\') }.content())
    }

    /// Its fields. What is no object has one nameless field, and what is nested too deeply to be read likewise.
    pub(crate) fn members(&self) -> Map<String, Value> {
        match serde_json::from_slice(self.json) {
            Ok(Value::Object(members)) => members,
            Ok(other) => Map::from_iter([(String::new(), other)]),
            Err(_) => Map::from_iter([(String::new(), unread(self.json))]),
        }
    }
}

impl Id {
    /// Where it is in an entity, if there is one. One that begins after 4 GB of its entity isn't found.
    fn of(entity: &[u8]) -> Result<Option<Self>, Error> {
        let mut lexer = Lexer::new(entity)?;
        if lexer.peek()? != b'{' {
            return Ok(None);
        }
        let mut id = None;

        lexer.members(|lexer, name| {
            let is_id = &*name.content() == b"id" && lexer.peek()? == b'"';
            let at = lexer.offset();
            let value = lexer.value(&mut ())?;
            if is_id {
                let length = u32::try_from(value.len()).ok().and_then(NonZeroU32::new);
                id = u32::try_from(at).ok().zip(length).map(|(at, length)| Self { at, length });
            }
            Ok(())
        })?;
        Ok(id)
    }
}

/// Stands for a value that serde_json doesn't read, which has more than 128 levels: another text, another value.
fn unread(json: &[u8]) -> Value {
    Value::from(format!("more deeply nested than is shown, SHA-256 {}", crate::digest::Sha256Digest::of(json)))
}

// All of the configuration is known to be UTF-8.
fn text(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}
