//! `lifeboat-web-bindgen WASM FOLDER`: writes `comparison.js` and `comparison_bg.wasm` for a page into the folder. It is the
//! library of the same version as the crate that `lifeboat-web` was compiled with, so nothing has to be fetched.

use std::path::PathBuf;

use anyhow::{Context, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [wasm, folder] = &arguments[..] else {
        bail!("two arguments are wanted: the compiled lifeboat_web.wasm, and the folder for what is made of it");
    };

    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).out_name("comparison").web(true)?.typescript(false);
    bindgen.remove_name_section(true).remove_producers_section(true);
    bindgen.generate(folder).with_context(|| format!("making the page's files of {}", wasm.display()))
}
