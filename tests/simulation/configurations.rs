//! The configurations that control planes send in a simulation: few and tiny, made once. Each in several forms, since a
//! control plane sends the same configuration as other bytes each time (KONG.md section 1).

use std::sync::LazyLock;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::{Configuration, EntityCounts, SectionHashes};

/// How many there are of ordinary size: none of these is held when it replaces another one.
pub(crate) const ORDINARY: usize = 12;
/// The first of those that lose most of the services and routes of an ordinary one.
pub(crate) const SMALL: usize = ORDINARY;
/// What a control plane with an emptied database sends.
pub(crate) const EMPTY: usize = SMALL + 2;

/// A configuration.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) hash: ConfigHash,
    pub(crate) hashes: SectionHashes,
    forms: [Configuration; 3],
}

static ALL: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let entities = |index: usize| match index {
        EMPTY => (0, 0),
        SMALL.. => (1, 1),
        _ => (4 + index % 3, 5 + index % 4),
    };
    (0..=EMPTY).map(|index| known(index, entities(index))).collect()
});

/// The configuration of this number.
pub(crate) fn configuration(index: usize) -> &'static Known {
    &ALL[index]
}

/// The one of this hash.
pub(crate) fn known_as(hash: ConfigHash) -> Option<&'static Known> {
    ALL.iter().find(|known| known.hash == hash)
}

impl Known {
    /// Its bytes in one of its forms; any number is one.
    pub(crate) fn form(&self, number: usize) -> &Configuration {
        &self.forms[number % self.forms.len()]
    }

    pub(crate) fn counts(&self) -> &EntityCounts {
        self.forms[0].counts()
    }
}

fn known(index: usize, (services, routes): (usize, usize)) -> Known {
    let list = |name: &str, count: usize, entity: &dyn Fn(usize) -> String| {
        let entities: Vec<String> = (0..count).map(entity).collect();
        format!("\"{name}\":[{}]", entities.join(","))
    };
    let service = |number: usize| format!(r#"{{"id":"s{number}","name":"s{number}","host":"h{index}"}}"#);
    let route =
        |number: usize| format!(r#"{{"id":"r{number}","paths":["/{number}"],"service":"s{}"}}"#, number % services);
    let mut members = vec![r#""_format_version":"3.0""#.to_owned(), r#""_transform":false"#.to_owned()];
    if index != EMPTY {
        members.extend([list("services", services, &service), list("routes", routes, &route)]);
    }
    let forms = [0; 3].map(|_| {
        members.rotate_left(1);
        format!("{{{}}}", members.join(","))
    });
    let forms = forms.map(|json| Configuration::from_json_with_hashes(json.into()).expect("it is JSON"));
    let hashes = forms[0].1.clone();
    assert!(
        forms.iter().all(|form| form.1.config == hashes.config),
        "the forms of {index} are different configurations"
    );
    Known { hash: hashes.config, hashes, forms: forms.map(|(configuration, _)| configuration) }
}
