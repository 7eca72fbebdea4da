//! `lifeboat man`: manual pages from the command line's definition and the table of settings. The settings stand in the page
//! of the whole, once; those of the commands name it.

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::Command;
use clap::builder::Resettable;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::{Failure, stdout};
use crate::cli::{self, EXIT_CODES, broken, examples_of};
use crate::settings::names::{SETTINGS, Setting};

/// What is left of 80 columns beside the margins that man gives an example.
const WIDTH: usize = 68;

/// A page, and the name of its file.
struct Page {
    file_name: String,
    text: Vec<u8>,
}

/// Prints the page of the whole, or writes those of all commands into a folder, over those that are there.
pub fn manual(folder: Option<&Path>) -> Result<(), Failure> {
    match folder {
        None => stdout::bytes(&whole().text).map_err(anyhow::Error::from)?,
        Some(folder) => write(folder)?,
    }
    Ok(())
}

fn write(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("--folder: {} can't be made", folder.display()))?;
    let pages = pages();
    for page in &pages {
        let path = folder.join(&page.file_name);
        fs::write(&path, &page.text).with_context(|| format!("--folder: {} can't be written", path.display()))?;
    }
    Ok(stdout::line(&format!("{} pages are in {}", pages.len(), folder.display()))?)
}

fn pages() -> Vec<Page> {
    let mut pages = vec![whole()];
    // Building gives commands below others the names that are typed.
    let mut program = program();
    program.build();
    program.get_subcommands().for_each(|command| add(&mut pages, command, command.get_name()));
    pages
}

fn add(pages: &mut Vec<Page>, command: &Command, path: &str) {
    pages.push(of_command(command.clone(), path));
    command.get_subcommands().for_each(|below| add(pages, below, &format!("{path} {}", below.get_name())));
}

// In a page, settings have a section of their own.
fn program() -> Command {
    let program = cli::commands().disable_help_subcommand(true);
    let program = program.subcommand_value_name("command").subcommand_help_heading("COMMANDS");
    program.mut_args(|arg| arg.help_heading(Resettable::Reset))
}

fn whole() -> Page {
    let mut program = program();
    program.build();
    let man = Man::new(program.clone());
    let text = rendered(&man, |man, text| {
        man.render_options_section(text)?;
        man.render_subcommands_section(text)
    });
    let mut more = Roff::new();
    settings(&mut more);
    examples(&mut more, "");
    exit_codes(&mut more);
    let pages: Vec<String> = program.get_subcommands().map(|command| page_name(command.get_name())).collect();
    see_also(&mut more, &pages);
    Page { file_name: man.get_filename(), text: [text, more.to_roff().into_bytes()].concat() }
}

fn of_command(command: Command, path: &str) -> Page {
    let man = Man::new(command);
    let text = rendered(&man, |man, text| man.render_options_section(text));
    let mut more = Roff::new();
    more.control("SH", ["SETTINGS"]);
    more.text([
        roman("Each setting is a variable of the environment and, secrets excepted, a flag: "),
        bold("lifeboat"),
        roman("(1) lists them all."),
    ]);
    examples(&mut more, path);
    see_also(&mut more, &["lifeboat".to_owned()]);
    Page { file_name: man.get_filename(), text: [text, more.to_roff().into_bytes()].concat() }
}

// What every page begins with, and then its own.
fn rendered(man: &Man, own: impl Fn(&Man, &mut Vec<u8>) -> std::io::Result<()>) -> Vec<u8> {
    let mut text = Vec::new();
    let written = (|| {
        man.render_title(&mut text)?;
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        own(man, &mut text)
    })();
    written.expect("memory can be written to");
    text
}

fn settings(page: &mut Roff) {
    page.control("SH", ["SETTINGS"]);
    page.text([roman(
        "A setting is a variable of the environment, a flag, a line of a settings file (--settings), or, if it is one of Kong's \
         own, a line of kong.conf (--kong-conf). Flags win over the environment, that over the settings file, and that over \
         kong.conf. What is a secret has no flag, and may stand in a file instead: the same name with _FILE.",
    )]);
    for setting in SETTINGS {
        page.control("TP", []);
        page.text(heading(setting));
        page.text(body(setting));
    }
}

fn heading(setting: &Setting) -> Vec<Inline> {
    let variable = bold(setting.variable);
    match setting.flag {
        Some(flag) => vec![variable, roman(", "), bold(format!("--{flag}")), roman(" "), italic("VALUE")],
        None => vec![variable, roman(" (a secret)")],
    }
}

fn body(setting: &Setting) -> Vec<Inline> {
    let mut text = marked(setting.meaning);
    text.push(roman(" [default: "));
    text.extend(marked(setting.default));
    text.push(roman("]"));
    text
}

// What stands between backquotes is typed as it is. Pages are plain ASCII, which every roff reads.
fn marked(text: &str) -> Vec<Inline> {
    let text = text.replace('…', "...");
    let part = |(index, part): (usize, &str)| if index % 2 == 1 { bold(part) } else { roman(part) };
    text.split('`').enumerate().map(part).collect()
}

fn examples(page: &mut Roff, path: &str) {
    page.control("SH", ["EXAMPLES"]);
    for example in examples_of(path) {
        page.control("PP", []);
        if !example.remark.is_empty() {
            page.text([roman(format!("{}:", example.remark))]);
        }
        page.control("RS", ["4"]).control("nf", []);
        for line in broken(example.line, WIDTH) {
            page.text([roman(line)]);
        }
        page.control("fi", []).control("RE", []);
    }
}

fn exit_codes(page: &mut Roff) {
    page.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        page.control("TP", []).text([bold(code.to_string())]).text([roman(*meaning)]);
    }
}

fn see_also(page: &mut Roff, names: &[String]) {
    page.control("SH", ["SEE ALSO"]);
    let mut text = Vec::new();
    for (index, name) in names.iter().enumerate() {
        text.extend([roman(if index == 0 { "" } else { ", " }), bold(name.as_str()), roman("(1)")]);
    }
    page.text(text);
}

fn page_name(path: &str) -> String {
    format!("lifeboat-{}", path.replace(' ', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(page: &Page) -> String {
        // As man shows it: without what makes letters bold, and with hyphens that it had to be told are hyphens.
        let text = String::from_utf8(page.text.clone()).unwrap();
        ["\\fB", "\\fI", "\\fR"].iter().fold(text.replace("\\-", "-"), |text, font| text.replace(font, ""))
    }

    #[test]
    fn each_command_has_a_page_with_its_examples() {
        let pages = pages();
        for command in program().get_subcommands() {
            let name = format!("{}.1", page_name(command.get_name()));
            let page = pages.iter().find(|page| page.file_name == name).unwrap_or_else(|| panic!("there is no {name}"));
            let text = text(page);
            for example in examples_of(command.get_name()) {
                let begin = &broken(example.line, WIDTH)[0];
                assert!(text.contains(begin.trim_end_matches(" \\")), "{begin} is not in {name}:\n{text}");
            }
        }
    }

    #[test]
    fn pages_are_plain_ascii_and_say_settings_once() {
        for page in pages() {
            let text = text(&page);
            assert!(text.is_ascii(), "{}: {:?}", page.file_name, text.lines().find(|line| !line.is_ascii()));
            assert_eq!(text.matches(".SH SETTINGS").count(), 1, "{}", page.file_name);
        }
    }

    #[test]
    fn each_setting_stands_in_one_page_once() {
        let pages: Vec<String> = pages().iter().map(text).collect();
        for setting in SETTINGS {
            let heading = |line: &&str| line.split([',', ' ']).next() == Some(setting.variable);
            let above = |page: &String| {
                page.lines().zip(page.lines().skip(1)).filter(|(tag, line)| *tag == ".TP" && heading(line)).count()
            };
            assert_eq!(pages.iter().map(above).sum::<usize>(), 1, "{}", setting.variable);
        }
        assert!(pages[0].contains("--storage"), "{}", pages[0]);
    }
}
