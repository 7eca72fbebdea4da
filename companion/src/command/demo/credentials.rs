//! The throw-away cluster certificate of the rehearsal's actors: two files in a folder, made by whichever comes first.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, anyhow};
use lifeboat_fakes::certificate::ClusterCertificate;
use lifeboat_link::tls::Identity;

/// The name of the certificate's file.
pub(super) const CERTIFICATE: &str = "cluster.crt";
/// The name of its key's file.
pub(super) const KEY: &str = "cluster.key";

/// Makes them as `kong hybrid gen_cert` does, unless they are there. An existing file is never overwritten.
pub(super) fn made_or_there(folder: &Path) -> anyhow::Result<Identity> {
    fs::create_dir_all(folder).with_context(|| format!("the folder {} can't be made", folder.display()))?;
    if !folder.join(CERTIFICATE).exists() && !folder.join(KEY).exists() {
        let made = ClusterCertificate::version_1(SystemTime::now());
        write_new(&folder.join(KEY), &made.key_pem)?;
        write_new(&folder.join(CERTIFICATE), &made.certificate_pem)?;
    }
    there(folder)
}

/// Reads them.
pub(super) fn there(folder: &Path) -> anyhow::Result<Identity> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!(
                "there is no {}: lifeboat demo control-plane makes {CERTIFICATE} and {KEY} in its --folder, which both must share",
                path.display()
            ),
            _ => anyhow!("{} can't be read: {error}", path.display()),
        })
    };
    let (certificate, key) = (read(CERTIFICATE)?, read(KEY)?);
    Identity::from_pem(&certificate, &key).with_context(|| {
        format!("{CERTIFICATE} and {KEY} in {} are not what lifeboat demo control-plane makes", folder.display())
    })
}

// Nobody else may read it: the program's umask is 077.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("{} can't be written", path.display()))
}
