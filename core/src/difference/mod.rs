//! What differs between two configurations, entity by entity. Secrets are covered in it, so it may be printed; how, is the
//! commands' matter.
//!
//! Nothing depends on the order of entities or of members, nor on when Kong wrote them down (`created_at`, `updated_at`). Entities are found by their id, and those that were made anew
//! under another id by what people call them. Only two entities at a time are held as values, so besides the two texts a
//! few dozen bytes per entity are all that is needed.

mod fields;
mod uncompared;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use self::fields::changed_fields;
use crate::kong::entities::{Entities, Entity};
use crate::kong::{Configuration, code};

/// What differs between two configurations.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Difference {
    /// How many entities are the same in both.
    pub unchanged: u64,
    /// The others: what carries code first, then sorted by kind and name.
    pub changes: Vec<Change>,
}

/// An entity that is not the same in both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Its kind: `services`, `routes` …; `configuration` for what stands beside the entities.
    pub kind: String,
    /// What people call it: its name, or what it matches, or whose it is.
    pub name: String,
    /// Its id, in the later configuration where it is in both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether it carries code that nodes run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_code: bool,
    /// What became of it.
    #[serde(flatten)]
    pub what: What,
}

/// What became of an entity.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum What {
    /// Only the later configuration has it.
    Added,
    /// Only the earlier one has it.
    Removed,
    /// Both have it, with other fields.
    Changed {
        /// Which, sorted by name.
        fields: Vec<Field>,
    },
}

/// A field that has another value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Its name; of one inside of others `config.minute`.
    pub field: String,
    /// What it was and is.
    #[serde(flatten)]
    pub values: Values,
}

/// How the two values of a field are shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Values {
    /// As they are, but for secrets inside; other entities by their name.
    Shown {
        /// Earlier: none where there was no such field.
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<Value>,
        /// Later, likewise.
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<Value>,
    },
    /// A list with the same elements in another order. To Kong, some lists are sets.
    Reordered {
        /// Always true.
        reordered: True,
    },
    /// A secret: only that it is another one.
    Masked {
        /// Always true.
        masked: True,
    },
    /// A secret of which nobody can tell whether it is another one, since one side was masked before.
    NotCompared {
        /// Always true.
        not_compared: True,
    },
}

/// `true`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct True;

impl Serialize for True {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

impl Difference {
    /// What has to be done to `before` to make it `after`.
    pub fn between(before: &Configuration, after: &Configuration) -> Self {
        let (before, after) = (Entities::of(before), Entities::of(after));
        let mut difference = Self::default();
        difference.compare_rest(&before, &after);
        let kinds: BTreeSet<&String> = before.kinds.keys().chain(after.kinds.keys()).collect();
        for kind in kinds {
            let mut changes = difference.compare_kind(kind, &before, &after);
            changes.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
            difference.changes.append(&mut changes);
        }
        // What runs in every node is to be read before all else.
        difference.changes.sort_by_key(|change| !change.is_code);
        difference
    }

    /// How many entities were added, removed and changed.
    pub fn counts(&self) -> (u64, u64, u64) {
        self.changes.iter().fold((0, 0, 0), |(added, removed, changed), change| match change.what {
            What::Added => (added + 1, removed, changed),
            What::Removed => (added, removed + 1, changed),
            What::Changed { .. } => (added, removed, changed + 1),
        })
    }

    fn compare_rest(&mut self, before: &Entities<'_>, after: &Entities<'_>) {
        let fields = changed_fields("configuration", (before.rest(), before), (after.rest(), after));
        if !fields.is_empty() {
            let kind = "configuration".to_owned();
            let what = What::Changed { fields };
            self.changes.push(Change { name: kind.clone(), kind, id: None, is_code: false, what });
        }
    }

    fn compare_kind(&mut self, kind: &str, before: &Entities<'_>, after: &Entities<'_>) -> Vec<Change> {
        let pairs = Pairs::of(
            before.of_kind(kind),
            after.of_kind(kind),
            |entity| before.name(kind, entity),
            |entity| after.name(kind, entity),
        );
        let mut changes = Vec::new();

        for (earlier, later) in pairs.both {
            // Most are, byte for byte or at least but for the order of members.
            let fields = if earlier.json == later.json {
                Vec::new()
            } else {
                changed_fields(kind, (&earlier.members(), before), (&later.members(), after))
            };
            if fields.is_empty() {
                self.unchanged += 1;
            } else {
                changes.push(change(after, kind, later, What::Changed { fields }));
            }
        }
        changes.extend(pairs.removed.into_iter().map(|entity| change(before, kind, entity, What::Removed)));
        changes.extend(pairs.added.into_iter().map(|entity| change(after, kind, entity, What::Added)));
        changes
    }
}

fn change(of: &Entities<'_>, kind: &str, entity: &Entity<'_>, what: What) -> Change {
    let id = entity.id().map(Cow::into_owned);
    let is_code = code::is_in(kind, &entity.members());
    Change { kind: kind.to_owned(), name: of.name(kind, entity), id, is_code, what }
}

fn by_identity<'e, 'a>(entities: &'e [Entity<'a>]) -> Vec<&'e Entity<'a>> {
    let mut sorted: Vec<_> = entities.iter().collect();
    // Those with one id in the order of the text, in which they lie in memory.
    let key = |entity: &'e Entity<'a>| (entity.identity(), entity.json.as_ptr());
    sorted.sort_unstable_by(|one, other| key(one).cmp(&key(other)));
    sorted
}

/// Takes those of this identity from the beginning, which are more than one if an id stands twice.
fn take_those<'s, 'e, 'a>(sorted: &mut &'s [&'e Entity<'a>], identity: &(bool, Cow<'_, [u8]>)) -> &'s [&'e Entity<'a>] {
    let count = sorted.iter().take_while(|entity| entity.identity() == *identity).count();
    let (those, rest) = sorted.split_at(count);
    *sorted = rest;
    those
}

/// Which entity of the one is which of the other.
struct Pairs<'e, 'a> {
    both: Vec<(&'e Entity<'a>, &'e Entity<'a>)>,
    removed: Vec<&'e Entity<'a>>,
    added: Vec<&'e Entity<'a>>,
}

impl<'e, 'a> Pairs<'e, 'a> {
    fn of(
        before: &'e [Entity<'a>],
        after: &'e [Entity<'a>],
        name_before: impl Fn(&Entity<'a>) -> String,
        name_after: impl Fn(&Entity<'a>) -> String,
    ) -> Self {
        let (earlier, later) = (by_identity(before), by_identity(after));
        let (mut earlier, mut later) = (&earlier[..], &later[..]);
        let mut both = Vec::with_capacity(before.len().min(after.len()));
        let (mut removed, mut added) = (Vec::new(), Vec::new());

        while let Some(next) = earlier.first().into_iter().chain(later.first()).map(|entity| entity.identity()).min() {
            let (of_before, of_after) = (take_those(&mut earlier, &next), take_those(&mut later, &next));
            let pairs = of_before.len().min(of_after.len());
            let (extra, paired) = of_after.split_at(of_after.len() - pairs);
            both.extend(of_before.iter().copied().zip(paired.iter().copied().rev()));
            removed.extend_from_slice(&of_before[pairs..]);
            added.extend_from_slice(extra);
        }

        let mut pairs = Self { both, removed, added };
        pairs.join_by_name(name_before, name_after);
        pairs
    }

    /// What was deleted and made anew has another id, yet to people it is the same. A name that two have says nothing.
    fn join_by_name(
        &mut self,
        name_before: impl Fn(&Entity<'a>) -> String,
        name_after: impl Fn(&Entity<'a>) -> String,
    ) {
        if self.removed.is_empty() || self.added.is_empty() {
            return;
        }
        let mut named: BTreeMap<String, (Vec<&'e Entity<'a>>, Vec<&'e Entity<'a>>)> = BTreeMap::new();

        for entity in self.removed.drain(..) {
            named.entry(name_before(entity)).or_default().0.push(entity);
        }
        for entity in self.added.drain(..) {
            named.entry(name_after(entity)).or_default().1.push(entity);
        }
        for (before, after) in named.into_values() {
            match (&before[..], &after[..]) {
                ([earlier], [later]) => self.both.push((earlier, later)),
                _ => {
                    self.removed.extend(before);
                    self.added.extend(after);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
