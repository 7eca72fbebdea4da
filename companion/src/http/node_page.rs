//! Which nodes of a relay are listed on a status page: all, unless the request asks for a part of them. The list of a relay
//! with ten thousands of nodes is megabytes of JSON.

/// A part of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodePage {
    /// How many nodes it has at most.
    pub(super) most: usize,
    /// It begins after the node that has this number.
    pub(super) after: Option<u64>,
}

impl NodePage {
    /// All of it.
    pub(super) const ALL: Self = Self { most: usize::MAX, after: None };

    /// What a request's query asks for. Other parameters are somebody else's.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn of(query: &str) -> Result<Self, String> {
        let mut page = Self::ALL;
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "nodes" => page.most = number(value).ok_or_else(|| wrong(name, value, "nodes=0, nodes=1000"))?,
                "after" => {
                    let valid = "what nodes_after said on the page before";
                    page.after = Some(number(value).ok_or_else(|| wrong(name, value, valid))?);
                }
                _ => {}
            }
        }
        Ok(page)
    }
}

// Digits alone: a sign is none of them.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn wrong(name: &str, value: &str, valid: &str) -> String {
    format!("{name}={value:?} in the query is no number of nodes (valid: {valid})\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_nodes_are_listed_unless_the_query_asks_for_a_part_of_them() {
        assert_eq!(NodePage::of(""), Ok(NodePage::ALL));
        assert_eq!(NodePage::of("for=dashboard&nodes"), Ok(NodePage::ALL));
        assert_eq!(NodePage::of("nodes=0"), Ok(NodePage { most: 0, after: None }));
        assert_eq!(NodePage::of("after=17&nodes=1000"), Ok(NodePage { most: 1_000, after: Some(17) }));
    }

    #[test]
    fn what_is_no_number_is_named_with_what_would_be_one() {
        for wrong in ["nodes=", "nodes=-1", "nodes=+1", "nodes=all", "after=x", "after=99999999999999999999"] {
            let said = NodePage::of(wrong).unwrap_err();
            let name = wrong.split('=').next().unwrap();
            assert!(said.starts_with(name) && said.contains("valid:"), "{said}");
        }
    }
}
