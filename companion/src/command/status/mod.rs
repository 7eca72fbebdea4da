//! `lifeboat status`: what one or several running lifeboats say of themselves, as a table for a terminal, once or again and
//! again. What is well is decided by those processes; here it is only shown.

mod ages;
mod answer;
mod nodes;
mod screen;
mod tables;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{anyhow, bail};
use futures::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use self::answer::StatusAnswer;
use self::screen::Screen;
use super::asked_page::{PageUrl, get};
use super::envelope::enveloped;
use super::healthcheck::pages_address;
use super::stopped::{Stop, unless_stopped};
use super::{Failure, stdout};
use crate::cli::{Output, Status, StatusUrl};
use crate::settings::{Reader, Source};
use crate::terminal::terminal_width;

/// The most that is read of an answer, in bytes: a relay with 5,000 nodes has 3 MB to say.
const LONGEST_ANSWER: usize = 256 << 20;

/// What a lifeboat has said, or why it has said nothing.
#[derive(Debug)]
struct Answer {
    /// Which one, as it was typed.
    name: String,
    said: anyhow::Result<Said>,
}

/// The status, as this lifeboat reads it and as it came.
#[derive(Debug)]
struct Said {
    status: StatusAnswer,
    whole: Value,
}

/// Shows it, and fails afterwards if one of them did not answer; with `--watch` until a signal comes, which is no failure.
pub async fn status(source: &Source, asked: &Status) -> Result<(), Failure> {
    let urls = urls(source, asked)?;
    if !asked.watch {
        return unless_stopped(once(&urls, asked)).await;
    }
    if asked.output == Output::Json {
        let mut reader = Reader::new(source);
        reader.wrong("--watch is for people: leave --output json out, or call lifeboat status again and again");
        return Err(Failure::Settings(reader.into_problems()));
    }

    let mut stop = Stop::listen()?;
    tokio::select! {
        watched = watch(&urls, asked) => watched,
        () = stop.told() => Ok(()),
    }
}

async fn once(urls: &[(String, PageUrl)], asked: &Status) -> Result<(), Failure> {
    let answers = ask_all(urls, asked.timeout).await;
    let text = match asked.output {
        Output::Json => as_json(&answers),
        Output::Table => tables::of(&answers, terminal_width(), asked.nodes),
    };
    stdout::line(&text).map_err(anyhow::Error::from)?;

    let silent: Vec<&str> =
        answers.iter().filter(|answer| answer.said.is_err()).map(|answer| answer.name.as_str()).collect();
    match silent.len() {
        0 => Ok(()),
        // The table says why.
        _ if asked.output == Output::Table || answers.len() > 1 => {
            Err(anyhow!("no status of {}", silent.join(", ")).into())
        }
        _ => Err(answers.into_iter().find_map(|answer| answer.said.err()).expect("it is silent").into()),
    }
}

async fn watch(urls: &[(String, PageUrl)], asked: &Status) -> Result<(), Failure> {
    let mut screen = Screen::open(std::io::stdout().is_terminal());
    loop {
        let answers = ask_all(urls, asked.timeout).await;
        let width = terminal_width();
        let is_there = screen.show(|| tables::of(&answers, width, asked.nodes), || tables::ageless(&answers));
        // Whoever has read it has gone.
        if !is_there.map_err(anyhow::Error::from)? {
            return Ok(());
        }
        sleep(asked.every).await;
    }
}

fn urls(source: &Source, asked: &Status) -> anyhow::Result<Vec<(String, PageUrl)>> {
    if asked.urls.is_empty() {
        let address = pages_address(source)?.to_string();
        return Ok(vec![(address.clone(), PageUrl { authority: address, path: "/status".to_owned() })]);
    }
    let page = |url: &StatusUrl| PageUrl { authority: url.authority.clone(), path: url.path.clone() };
    Ok(asked.urls.iter().map(|url| (url.name.clone(), page(url))).collect())
}

// All at once: one that hangs keeps nobody else waiting.
async fn ask_all(urls: &[(String, PageUrl)], patience: Duration) -> Vec<Answer> {
    join_all(urls.iter().map(|(name, url)| async move {
        let said = match timeout(patience, ask(url)).await {
            Ok(said) => said,
            Err(_) => {
                let patience = humantime::format_duration(patience);
                Err(anyhow!("{url} did not answer within {patience}: lifeboat hangs, or that host has too much to do"))
            }
        };
        Answer { name: name.clone(), said }
    }))
    .await
}

async fn ask(url: &PageUrl) -> anyhow::Result<Said> {
    let nobody = format!(
        "nothing listens on {}: lifeboat doesn't run there, or with another LIFEBOAT_HTTP_LISTEN",
        url.authority
    );
    let (status, body) = get(url, LONGEST_ANSWER, &nobody).await?;
    let strange =
        || anyhow!("{url} answers {}, and not as lifeboat does: something else listens there", status.as_u16());
    if status == StatusCode::NOT_FOUND && is_health_alone(&body) {
        bail!("{url} answers health alone (LIFEBOAT_HEALTH_LISTEN): ask the address of LIFEBOAT_HTTP_LISTEN");
    }
    let Ok(body) = body else { bail!("{url} ended its answer too early, or it is longer than any status is") };
    if status != StatusCode::OK {
        return Err(strange());
    }

    let whole: Value = serde_json::from_slice(&body).map_err(|_| strange())?;
    let status = StatusAnswer::read(&whole).map_err(|problem| anyhow!("{url}: {problem}"))?;
    Ok(Said { status, whole })
}

fn is_health_alone(body: &Result<bytes::Bytes, super::asked_page::Unread>) -> bool {
    body.as_ref().is_ok_and(|body| body.starts_with(b"this is lifeboat's health"))
}

fn as_json(answers: &[Answer]) -> String {
    let one = |answer: &Answer| {
        let (status, error) = match &answer.said {
            Ok(said) => (Some(&said.whole), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        json!({ "lifeboat": answer.name, "status": status, "error": error })
    };
    let all: Vec<Value> = answers.iter().map(one).collect();
    enveloped("status", json!({ "lifeboats": all }))
}

#[cfg(test)]
pub(crate) mod tests;
