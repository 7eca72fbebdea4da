//! Where the project lives: that pages say what `release/home.env` says, and that a placeholder gets nowhere.

use std::process::Command;

use super::{document, marked, root};

/// A value of `release/home.env`.
fn home(name: &str) -> String {
    let file = document("release/home.env");
    let value = file.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("release/home.env has no {name}")).to_owned()
}

fn is_placeholder(value: &str) -> bool {
    value.contains(".invalid")
}

/// What SECURITY.md says of e-mail. It must be true in a copy that nobody has given a home, too.
fn contact_line(contact: &str) -> String {
    if is_placeholder(contact) {
        return "- E-mail is not possible yet: this copy of the repository names no address for it (`SECURITY_CONTACT` in \
                `release/home.env`)."
            .to_owned();
    }
    format!("- By e-mail to <{contact}>, if you don't use GitHub.")
}

#[test]
fn the_security_policy_names_the_contact_of_the_projects_home() {
    let expected = contact_line(&home("SECURITY_CONTACT"));
    assert!(
        marked(&document("SECURITY.md"), "security contact") == expected,
        "SECURITY.md differs from release/home.env; paste this:\n\n{expected}\n"
    );
}

#[test]
fn a_contact_is_named_as_it_is_and_a_placeholder_never() {
    assert!(contact_line("security@example.com").contains("<security@example.com>"));
    assert!(!contact_line("security@project-home.invalid").contains('@'));
}

#[test]
fn a_script_that_needs_the_security_contact_fails_while_it_is_a_placeholder() {
    let asked = |contact: &str| {
        let mut command = Command::new("bash");
        command.arg(root().join("release/home")).arg("SECURITY_CONTACT").env("SECURITY_CONTACT", contact);
        command.output().expect("bash starts")
    };
    let (set, unset) = (asked("security@example.com"), asked("security@project-home.invalid"));
    assert_eq!((set.status.success(), String::from_utf8_lossy(&set.stdout).trim()), (true, "security@example.com"));
    let said = String::from_utf8_lossy(&unset.stderr);
    assert!(!unset.status.success() && said.contains("SECURITY_CONTACT is still the placeholder"), "{said}");
}
