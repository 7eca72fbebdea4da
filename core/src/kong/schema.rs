//! What is known of the kinds of entities that open-source Kong has: how they refer to one another, and by what each is
//! told from its siblings. From the public documentation of declarative configuration and the Apache-2.0 sources of 2.8 to
//! 3.9. The fields in between are Kong's own business: a node checks them and fills in defaults.

/// A kind of entity.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its name in a configuration: `services`.
    pub(crate) name: &'static str,
    /// The field that may stand for an entity where another refers to it (Kong's `endpoint_key`).
    pub(crate) key: Option<Key>,
    /// Without that field, what tells an entity from the others of its kind (Kong's `cache_key`); may be empty.
    pub(crate) together: &'static [Part],
    /// Which other entities it refers to.
    pub(crate) references: &'static [Reference],
}

/// A field that names an entity.
#[derive(Debug)]
pub(crate) enum Key {
    /// No two of the kind have the same.
    Unique(&'static str),
    /// No two that belong to the same one have the same; the field that says to which.
    UniqueWithin(&'static str, &'static str),
}

/// A field of those that tell an entity from others together.
#[derive(Debug)]
pub(crate) enum Part {
    /// Each entity has it.
    Required(&'static str),
    /// It may be missing.
    Optional(&'static str),
}

/// A field that refers to another entity.
#[derive(Debug)]
pub(crate) struct Reference {
    /// The field.
    pub(crate) field: &'static str,
    /// The kind of entity that it refers to.
    pub(crate) kind: &'static str,
    /// Whether Kong refuses an entity without it.
    pub(crate) is_required: bool,
}

impl Key {
    pub(crate) fn field(&self) -> &'static str {
        match self {
            Self::Unique(field) | Self::UniqueWithin(field, _) => field,
        }
    }
}

impl Kind {
    /// The kind of this name, if it is one of open-source Kong's.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// The field that holds an entity's identity. All that have none of their own get an id.
    pub(crate) fn primary_key(&self) -> &'static str {
        if self.name == "parameters" { "key" } else { "id" }
    }

    /// The kinds of entities that may be nested in this one, and their field that refers to it.
    pub(crate) fn children(&self) -> impl Iterator<Item = (&'static Self, &'static str)> {
        let name = self.name;
        KINDS.iter().filter_map(move |child| {
            let reference = child.references.iter().find(|reference| reference.kind == name)?;
            Some((child, reference.field))
        })
    }
}

/// The names of all kinds of entities that open-source Kong has.
pub fn kind_names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

const fn kind(
    name: &'static str,
    key: Option<Key>,
    together: &'static [Part],
    references: &'static [Reference],
) -> Kind {
    Kind { name, key, together, references }
}

const fn to(field: &'static str, kind: &'static str) -> Reference {
    Reference { field, kind, is_required: false }
}

const fn must(field: &'static str, kind: &'static str) -> Reference {
    Reference { field, kind, is_required: true }
}

const fn unique(field: &'static str) -> Option<Key> {
    Some(Key::Unique(field))
}

const OF_CONSUMER: &[Reference] = &[must("consumer", "consumers")];

/// Every kind, parents before children.
const KINDS: &[Kind] = &[
    kind("workspaces", unique("name"), &[], &[]),
    kind("parameters", unique("key"), &[], &[]),
    kind("certificates", None, &[], &[]),
    kind("ca_certificates", None, &[], &[]),
    kind("snis", unique("name"), &[], &[must("certificate", "certificates")]),
    kind("services", unique("name"), &[], &[to("client_certificate", "certificates")]),
    kind("routes", unique("name"), &[], &[to("service", "services")]),
    kind("consumers", unique("username"), &[], &[]),
    // Enterprise's.
    kind("consumer_groups", unique("name"), &[], &[]),
    kind("upstreams", unique("name"), &[], &[to("client_certificate", "certificates")]),
    kind("targets", Some(Key::UniqueWithin("target", "upstream")), &[], &[must("upstream", "upstreams")]),
    kind(
        "plugins",
        unique("instance_name"),
        &[Part::Required("name"), Part::Optional("route"), Part::Optional("service"), Part::Optional("consumer")],
        &[
            to("route", "routes"),
            to("service", "services"),
            to("consumer", "consumers"),
            to("consumer_group", "consumer_groups"),
        ],
    ),
    kind(
        "filter_chains",
        unique("name"),
        &[Part::Optional("route"), Part::Optional("service")],
        &[to("route", "routes"), to("service", "services")],
    ),
    kind("vaults", unique("prefix"), &[], &[]),
    kind("vaults_beta", unique("prefix"), &[], &[]),
    kind("key_sets", unique("name"), &[], &[]),
    kind("keys", unique("name"), &[Part::Required("kid"), Part::Optional("set")], &[to("set", "key_sets")]),
    kind("acls", None, &[Part::Required("consumer"), Part::Required("group")], OF_CONSUMER),
    kind("keyauth_credentials", unique("key"), &[], OF_CONSUMER),
    kind("basicauth_credentials", unique("username"), &[], OF_CONSUMER),
    kind("hmacauth_credentials", unique("username"), &[], OF_CONSUMER),
    kind("jwt_secrets", unique("key"), &[], OF_CONSUMER),
    kind("oauth2_credentials", unique("client_id"), &[], &[to("consumer", "consumers")]),
    kind(
        "oauth2_tokens",
        unique("access_token"),
        &[],
        &[must("credential", "oauth2_credentials"), to("service", "services")],
    ),
    kind(
        "oauth2_authorization_codes",
        unique("code"),
        &[],
        &[must("credential", "oauth2_credentials"), to("service", "services"), to("plugin", "plugins")],
    ),
    kind("acme_storage", unique("key"), &[], &[]),
    kind("sessions", unique("session_id"), &[], &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_to_a_kind_that_stands_before() {
        for (at, kind) in KINDS.iter().enumerate() {
            for reference in kind.references {
                assert!(KINDS[..at].iter().any(|other| other.name == reference.kind), "{} {reference:?}", kind.name);
            }
        }
    }

    #[test]
    fn what_may_be_nested_is_what_refers() {
        let children = |name: &str| -> Vec<_> {
            Kind::named(name).unwrap().children().map(|(child, field)| (child.name, field)).collect()
        };
        assert_eq!(children("upstreams"), [("targets", "upstream")]);
        assert_eq!(children("routes"), [("plugins", "route"), ("filter_chains", "route")]);
        assert!(children("consumers").contains(&("keyauth_credentials", "consumer")));
        assert!(children("certificates").contains(&("snis", "certificate")));
    }
}
