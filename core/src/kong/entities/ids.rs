//! Where the entity with an id is. A configuration may have millions of entities, so no id is held twice: 16 bytes for each are
//! enough, where a map from ids to places takes some 90.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::Entity;

/// The places of all entities that have an id, by a hash of it.
#[derive(Default)]
pub(super) struct Ids {
    state: RandomState,
    /// Sorted. Of several entities with one id, the last.
    places: Vec<(u64, Place)>,
}

/// Its kind is the one with this number, and it is so far down in the list of those.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    kind: u32,
    at: u32,
}

type Kinds<'a> = BTreeMap<String, Vec<Entity<'a>>>;

impl Ids {
    /// Of all of these, and the kinds and ids of those that share their id with an entity of a later kind.
    pub(super) fn of<'a>(kinds: &Kinds<'a>) -> (Self, HashSet<(String, Cow<'a, str>)>) {
        let state = RandomState::new();
        let mut places = Vec::with_capacity(kinds.values().map(Vec::len).sum());
        for (kind, entities) in (0..).zip(kinds.values()) {
            let ids = (0..).zip(entities).filter_map(|(at, entity)| Some((at, entity.id()?)));
            places.extend(ids.map(|(at, id)| (state.hash_one(&*id), Place { kind, at })));
        }
        places.sort_unstable();

        let mut namesakes = HashSet::new();
        let of_kind: Vec<_> = kinds.iter().collect();
        let entity = |place: Place| &of_kind[place.kind as usize].1[place.at as usize];
        // Those with one hash follow each other, and hardly ever have different ids.
        let (mut kept, mut same_hash) = (0, 0);
        for read in 0..places.len() {
            let (hash, place) = places[read];
            if kept > 0 && places[kept - 1].0 != hash {
                same_hash = kept;
            }
            let is_same_id = |(_, other): &(u64, Place)| entity(*other).id() == entity(place).id();
            match places[same_hash..kept].iter().position(is_same_id) {
                Some(earlier) => {
                    let (_, earlier) = std::mem::replace(&mut places[same_hash + earlier], (hash, place));
                    if let Some(id) = entity(earlier).id().filter(|_| earlier.kind != place.kind) {
                        namesakes.insert((of_kind[earlier.kind as usize].0.clone(), id));
                    }
                }
                None => {
                    places[kept] = (hash, place);
                    kept += 1;
                }
            }
        }
        places.truncate(kept);
        (Self { state, places }, namesakes)
    }

    /// The kind and the entity with this id, among those that this was made of.
    pub(super) fn find<'k, 'a>(&self, kinds: &'k Kinds<'a>, id: &str) -> Option<(&'k str, &'k Entity<'a>)> {
        let hash = self.state.hash_one(id);
        let first = self.places.partition_point(|(other, _)| *other < hash);
        let same_hash = self.places[first..].iter().take_while(|(other, _)| *other == hash);
        let mut found = same_hash.filter_map(|(_, place)| {
            let (kind, entities) = kinds.iter().nth(place.kind as usize)?;
            Some((kind.as_str(), entities.get(place.at as usize)?))
        });
        found.find(|(_, entity)| entity.id().as_deref() == Some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Entities;
    use crate::kong::Configuration;

    fn configuration(json: &str) -> Configuration {
        Configuration::from_json(json.to_owned().into()).unwrap()
    }

    #[test]
    fn an_entity_is_found_by_its_id_and_of_several_with_one_id_the_last() {
        let json = r#"{"routes":[{"id":"1","name":"r"},{"id":"2"}],"services":[{"id":"3","name":"first"},{"name":"x"},
            {"id":"3","name":"second"},{"id":"1","name":"s"},{"id":"\u0034","name":"escaped"}]}"#;
        let configuration = configuration(json);
        let entities = Entities::of(&configuration);
        let name = |id: &str| entities.name_of_id(id);
        assert_eq!(name("3").as_deref(), Some("second"));
        assert_eq!(name("1").as_deref(), Some("s"), "kinds in the order of their names");
        assert_eq!(name("4").as_deref(), Some("escaped"));
        assert_eq!((name("5"), name("")), (None, None));
    }

    #[test]
    fn an_id_that_two_kinds_share_is_an_id_of_both() {
        let configuration = configuration(r#"{"routes":[{"id":"1"},{"id":"2"}],"services":[{"id":"1"},{"id":"3"}]}"#);
        let entities = Entities::of(&configuration);
        for (kind, id, is_there) in [
            ("routes", "1", true),
            ("services", "1", true),
            ("routes", "2", true),
            ("services", "2", false),
            ("routes", "3", false),
            ("consumers", "1", false),
        ] {
            assert_eq!(entities.has(kind, id), is_there, "{kind} {id}");
        }
    }

    #[test]
    fn thousands_of_entities_are_told_apart_and_thousands_with_one_id_take_no_longer() {
        let of = |id: fn(usize) -> usize| {
            let entity = |number| format!(r#"{{"id":"{}","name":"of-{number}"}}"#, id(number));
            let all: Vec<String> = (0..20_000).map(entity).collect();
            configuration(&format!(r#"{{"services":[{}]}}"#, all.join(",")))
        };
        let (different, same) = (of(|number| number), of(|_| 7));
        let (different, same) = (Entities::of(&different), Entities::of(&same));
        for number in [0, 7, 10_000, 19_999] {
            assert_eq!(different.name_of_id(&number.to_string()), Some(format!("of-{number}")));
        }
        assert_eq!(same.name_of_id("7").as_deref(), Some("of-19999"));
    }
}
