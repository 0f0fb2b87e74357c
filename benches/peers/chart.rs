//! Deliveries a second beside the floor's, as a picture. The same results give the same bytes.

use std::fmt::Write as _;

use crate::cases::{self, Case, Load};
use crate::page::title;
use crate::results::Results;
use crate::servers::{KINDS, Kind};

const LABEL_WIDTH: u32 = 170;
const BAR_WIDTH: u32 = 420;
const FIGURE_WIDTH: u32 = 110;
const BAR_HEIGHT: u32 = 12;
const GROUP_GAP: u32 = 10;
const TOP: u32 = 48;

/// Bars for each case with a window: one for each server, the floor's length being marked.
pub fn render(results: &Results) -> String {
    let cases: Vec<Case> = cases::all()
        .into_iter()
        .filter(|case| matches!(case.load, Load::Window(_)) && case.stalled == 0)
        .filter(|case| !bars(results, case).is_empty())
        .collect();
    let largest =
        cases.iter().flat_map(|case| bars(results, case)).map(|(_, ratio)| ratio).fold(1.0, f64::max);
    let scale = f64::from(BAR_WIDTH) / largest;
    let mut body = String::new();
    let mut y = TOP;
    for case in &cases {
        push_group(&mut body, results, case, scale, &mut y);
    }
    let floor = f64::from(LABEL_WIDTH) + scale;
    let _ = writeln!(
        body,
        "<line x1=\"{floor:.1}\" y1=\"{}\" x2=\"{floor:.1}\" y2=\"{y}\" stroke=\"#888\" stroke-dasharray=\"3 3\"/>\n\
         <text x=\"{floor:.1}\" y=\"{}\" text-anchor=\"middle\">the floor</text>",
        TOP - 6,
        TOP - 10
    );
    let width = LABEL_WIDTH + BAR_WIDTH + FIGURE_WIDTH;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"18\" font-size=\"13\" font-weight=\"bold\">Deliveries a second, as a multiple of the floor's</text>\n\
         {body}</svg>\n",
        y + GROUP_GAP
    )
}

fn push_group(body: &mut String, results: &Results, case: &Case, scale: f64, y: &mut u32) {
    let _ = writeln!(body, "<text x=\"8\" y=\"{}\" font-weight=\"bold\">{}</text>", *y + 10, title(case));
    for (kind, ratio) in bars(results, case) {
        let (length, text_y) = (ratio * scale, *y + 10);
        let _ = writeln!(
            body,
            "<rect x=\"{LABEL_WIDTH}\" y=\"{}\" width=\"{length:.1}\" height=\"{}\" fill=\"{}\"/>\n\
             <text x=\"{:.1}\" y=\"{text_y}\">{} {ratio:.2}</text>",
            *y + 1,
            BAR_HEIGHT - 2,
            colour(kind),
            f64::from(LABEL_WIDTH) + length + 4.0,
            kind.name()
        );
        *y += BAR_HEIGHT;
    }
    *y += GROUP_GAP;
}

fn bars(results: &Results, case: &Case) -> Vec<(Kind, f64)> {
    let floor = (case.name.as_str(), Kind::Floor.name());
    let others = KINDS.into_iter().filter(|&kind| kind != Kind::Floor);
    let ratio = |kind: Kind| results.ratio((&case.name, kind.name()), floor, "deliveries_per_second");
    others.filter_map(|kind| Some((kind, ratio(kind)?))).collect()
}

fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::ChatServer => "#1f6f8b",
        Kind::Redis => "#c8553d",
        Kind::Nats => "#6a994e",
        Kind::Ngircd => "#b08968",
        Kind::Inspircd => "#8d6a9f",
        Kind::Python => "#e0b13c",
        Kind::Floor => "#888888",
    }
}
