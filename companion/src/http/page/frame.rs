//! What all views have around them.

use super::html::Html;

/// What the page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Now,
    History,
    Compare,
}

impl View {
    const ALL: [Self; 3] = [Self::Now, Self::History, Self::Compare];

    fn title(self) -> &'static str {
        match self {
            Self::Now => "Now",
            Self::History => "History",
            Self::Compare => "Compare",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Now => "/",
            Self::History => "/history",
            Self::Compare => "/compare",
        }
    }
}

/// The whole document around what a view shows.
pub(super) fn document(view: View, main: &Html) -> Html {
    let mut page = Html::default();
    page.put("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.put("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.put("<meta name=\"color-scheme\" content=\"light dark\">");
    page.element("title", format_args!("{} · Lifeboat", view.title()));
    page.put("<link rel=\"icon\" href=\"/page/icon.svg\"><link rel=\"stylesheet\" href=\"/page/style.css\">");
    page.put("<script type=\"module\" src=\"/page/page.js\"></script></head>");

    page.put(
        "<body><a class=\"skip\" href=\"#main\">Skip to the content</a><header><span class=\"name\">Lifeboat</span>",
    );
    page.put("<nav aria-label=\"Views\">");
    for other in View::ALL {
        page.put("<a href=\"").text(other.path()).put(if other == view { "\" aria-current=\"page\">" } else { "\">" });
        page.text(other.title()).put("</a>");
    }
    page.put("</nav><p id=\"fresh\"></p></header>");

    page.put("<main id=\"main\" tabindex=\"-1\">").element("h1", view.title()).part(main).put("</main>");
    page.put("<footer>lifeboat ").text(env!("CARGO_PKG_VERSION"));
    page.put(". This page changes nothing: paste a command where Lifeboat's settings are.</footer></body></html>\n");
    page
}
