//! `lifeboat keygen`: makes the keys for signing and sealing, as the settings take them. Randomness is the system's, and
//! no key is ever taken from an argument.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use lifeboat_core::keys::{EncryptionKey, KeyName, SigningKey};
use rand::TryRng;
use rand::rngs::SysRng;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::envelope::enveloped;
use super::{Failure, stdout};
use crate::cli::{Output, Purpose};

/// A key, or half of a pair, and the setting that it is for.
struct Made {
    setting: &'static str,
    who: &'static str,
    text: Zeroizing<String>,
    file_name: String,
    mode: u32,
}

/// Makes keys under this name, or one made of their fingerprint. Prints them as settings, or writes them into files of
/// the folder, none of which may be there yet.
pub fn keygen(purpose: Purpose, name: Option<KeyName>, folder: Option<&Path>, output: Output) -> Result<(), Failure> {
    let mut random = Zeroizing::new([0; 32]);
    SysRng.try_fill_bytes(&mut *random).context("the system gives no randomness")?;
    let made = match purpose {
        Purpose::Signing => signing(name, &random),
        Purpose::Encryption => encryption(name, &random),
    };
    let text = match folder {
        None => printed(&made, output),
        Some(folder) => {
            let paths = written(&made, folder)?;
            listed(&made, &paths, output)
        }
    };
    stdout::line(&text).map_err(anyhow::Error::from)?;

    Ok(())
}

fn signing(name: Option<KeyName>, seed: &[u8; 32]) -> Vec<Made> {
    let name = name.unwrap_or_else(|| named("signing", &SigningKey::fingerprint(seed)));
    let key = SigningKey::from_seed(name.clone(), *seed);
    let private = Made {
        setting: "LIFEBOAT_SIGNING_KEY",
        who: "secret: for exporters alone",
        text: key.to_text(),
        file_name: format!("{name}.signing-key"),
        mode: 0o600,
    };
    let public = Made {
        setting: "LIFEBOAT_TRUSTED_KEYS",
        who: "public: for everything that restores nodes, and for exporters",
        text: Zeroizing::new(key.trusted().to_text()),
        file_name: format!("{name}.trusted-key"),
        mode: 0o644,
    };

    vec![private, public]
}

fn encryption(name: Option<KeyName>, secret: &[u8; 32]) -> Vec<Made> {
    let name = name.unwrap_or_else(|| named("encryption", &EncryptionKey::fingerprint(secret)));
    vec![Made {
        setting: "LIFEBOAT_ENCRYPTION_KEYS",
        who: "secret: for exporters and for everything that restores nodes",
        text: EncryptionKey::from_secret(name.clone(), *secret).to_text(),
        file_name: format!("{name}.encryption-key"),
        mode: 0o600,
    }]
}

fn named(purpose: &str, fingerprint: &str) -> KeyName {
    format!("{purpose}-{fingerprint}").parse().expect("letters, digits and a hyphen")
}

// Comments and settings: what a shell, systemd and Compose take as it is.
fn printed(made: &[Made], output: Output) -> Zeroizing<String> {
    match output {
        Output::Json => as_json(made, |key| (key.setting.to_owned(), key.text.to_string())),
        Output::Table => {
            let settings = made.iter().map(|key| format!("# {}\n{}={}", key.who, key.setting, *key.text));
            Zeroizing::new(settings.collect::<Vec<_>>().join("\n"))
        }
    }
}

fn listed(made: &[Made], paths: &[PathBuf], output: Output) -> Zeroizing<String> {
    let path_of = |key: &Made| {
        let index = made.iter().position(|other| other.setting == key.setting).expect("it is one of them");
        paths[index].display().to_string()
    };
    match output {
        Output::Json => as_json(made, |key| (format!("{}_FILE", key.setting), path_of(key))),
        Output::Table => {
            let settings = made.iter().map(|key| format!("# {}\n{}_FILE={}", key.who, key.setting, path_of(key)));
            Zeroizing::new(settings.collect::<Vec<_>>().join("\n"))
        }
    }
}

fn as_json(made: &[Made], setting: impl Fn(&Made) -> (String, String)) -> Zeroizing<String> {
    let settings: Map<String, Value> = made.iter().map(setting).map(|(name, value)| (name, json!(value))).collect();
    Zeroizing::new(enveloped("keygen", &settings))
}

fn written(made: &[Made], folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("the folder {} can't be made", folder.display()))?;
    let folder = folder.canonicalize().with_context(|| format!("the folder {} can't be used", folder.display()))?;
    let mut paths = Vec::new();
    for key in made {
        let path = folder.join(&key.file_name);
        if let Err(error) = write_new(&path, &key.text, key.mode) {
            // Half a pair is of no use, and would stand in the way of the next try.
            paths.iter().for_each(|path| drop(fs::remove_file(path)));
            return Err(error);
        }
        paths.push(path);
    }
    Ok(paths)
}

fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow!(
            "{} is there already, and a key is never overwritten: give another --name or --folder",
            path.display()
        ),
        _ => anyhow!("{} can't be written: {error}", path.display()),
    })?;
    // Set afterwards, since the program's umask keeps all that it writes from others.
    let write = writeln!(file, "{text}").and_then(|()| file.set_permissions(Permissions::from_mode(mode)));
    write.and_then(|()| file.sync_all()).with_context(|| format!("{} can't be written", path.display()))
}

#[cfg(test)]
mod tests {
    use lifeboat_core::keys::{Key, TrustedKey, read_key};

    use super::*;

    #[test]
    fn what_is_made_is_what_the_settings_take_and_fits_together() {
        let made = signing(Some("prod".parse().unwrap()), &[7; 32]);
        let private: SigningKey = read_key(&made[0].text).unwrap();
        let public: TrustedKey = read_key(&made[1].text).unwrap();
        assert_eq!(private.trusted(), public);
        let sealing: EncryptionKey = read_key(&encryption(None, &[7; 32])[0].text).unwrap();
        let name = sealing.name().to_string();
        assert!(name.starts_with("encryption-") && name.len() == "encryption-".len() + 8, "{name}");
        assert_ne!(made[0].file_name, made[1].file_name);
    }

    #[test]
    fn keys_without_a_name_get_one_that_differs_from_key_to_key() {
        let names = [[1; 32], [2; 32]].map(|seed| signing(None, &seed)[1].file_name.clone());
        assert!(names[0] != names[1] && names[0].starts_with("signing-"), "{names:?}");
    }

    #[test]
    fn nothing_is_overwritten_and_no_half_of_a_pair_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let made = signing(Some("prod".parse().unwrap()), &[7; 32]);
        fs::write(folder.path().join("prod.trusted-key"), "precious").unwrap();
        let error = written(&made, folder.path()).unwrap_err().to_string();
        assert!(error.contains("prod.trusted-key is there already"), "{error}");
        assert!(!folder.path().join("prod.signing-key").exists());
        assert_eq!(fs::read_to_string(folder.path().join("prod.trusted-key")).unwrap(), "precious");
    }
}
