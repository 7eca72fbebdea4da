//! The policy by which browsers load the page.

use super::*;

#[test]
fn the_page_may_load_only_its_own_files_and_run_no_text_as_code() {
    let policy = POLICY;
    let policy = policy.to_str().unwrap();
    let rules: Vec<(&str, &str)> = policy.split("; ").filter_map(|rule| rule.split_once(' ')).collect();
    for (name, value) in &rules {
        let expected = match *name {
            "default-src" | "base-uri" | "frame-ancestors" => "'none'",
            "require-trusted-types-for" => "'script'",
            "trusted-types" => "lifeboat",
            _ => "'self'",
        };
        assert_eq!(*value, expected, "{name}");
    }
    assert_eq!(rules.len(), 11, "{policy}");
}

#[test]
fn what_the_script_makes_needs_no_text_to_become_markup() {
    for script in [include_str!("../../../../web/page/page.js"), include_str!("../../../../web/page/worker.js")] {
        for sink in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser"]
        {
            assert!(!script.contains(sink), "{sink}");
        }
    }
}
