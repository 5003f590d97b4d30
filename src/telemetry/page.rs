//! The page: what the daemon does and did, for a person's eyes. Read-only, without anything from outside.
//!
//! `/` with its style and script, and what the script asks for: `/api/now`, `/api/fields`, `/api/fields/IMAGE`,
//! `/api/fields/IMAGE/LAYER.png`, `/api/quality`, `/api/drift`, `/api/configuration`. Whatever came from outside
//! leaves here as JSON or plain text alone, and the script makes text of it, never markup.

mod api;
mod quality;

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::history::{History, unix_s};
use twinpeak_core::frame::ImageId;
use twinpeak_formats::picture::Layer;

/// Asked at each request for it.
pub type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;
/// A layer of an image's picture as PNG, `None` where there is none (any more); may take a moment.
pub type Pictures = Box<dyn Fn(&ImageId, Layer) -> Result<Option<Vec<u8>>, String> + Send + Sync>;

/// Survey, source, device and model in service.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct About {
    /// Name of the survey, from its description.
    pub survey: String,
    /// The band on whose grid objects are found.
    pub reference_band: String,
    /// The folder, or the broker and topic, that frames come from.
    pub source: String,
    /// Name of the device that the nets run on.
    pub device: String,
    /// Version of the model bundle, from its manifest.
    pub model_version: String,
    /// SHA-256 of the bundle, hex.
    pub model_hash: String,
}

/// How far a quantity is from what the bundle was trained on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftRow {
    /// Name of the quantity, as in the metrics.
    pub input: String,
    /// Over which time, e.g. `hour`.
    pub window: String,
    /// Distance from the training frames.
    pub distance: f64,
    /// Distance beyond which it is drift.
    pub threshold: f64,
}

/// How a rejected image is done again.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReplayAdvice {
    /// Command for a shell.
    pub command: String,
    /// What has to be done before it, and what it does.
    pub note: String,
}

/// What the page shows, and where it has it from.
pub struct Page {
    /// The last fields, and what is going on.
    pub history: Arc<History>,
    /// Survey, source, device and model in service.
    pub about: Ask<About>,
    /// The effective configuration, without secrets.
    pub configuration: Ask<String>,
    /// Empty where nothing is measured.
    pub drift: Ask<Vec<DriftRow>>,
    /// Draws a layer of a field's picture.
    pub pictures: Pictures,
    /// What to do for a rejected image.
    pub replay: Box<dyn Fn(&ImageId) -> ReplayAdvice + Send + Sync>,
    /// When the daemon started, Unix time.
    pub started_unix_s: f64,
    /// One picture at a time: the frames' work comes first.
    pub drawing: Arc<Semaphore>,
}

impl Page {
    /// Of a history alone; all else is empty.
    pub fn new(history: Arc<History>) -> Self {
        Self {
            history,
            about: Box::new(About::default),
            configuration: Box::new(String::new),
            drift: Box::new(Vec::new),
            pictures: Box::new(|_, _| Ok(None)),
            replay: Box::new(|_| ReplayAdvice::default()),
            started_unix_s: unix_s(SystemTime::now()),
            drawing: Arc::new(Semaphore::new(1)),
        }
    }
}

/// Nothing but our own files, no frame around us, no guess at a type, no name of ours to others.
const GUARDS: [(&str, &str); 4] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// The page's addresses.
pub(super) fn router(page: Arc<Page>) -> Router {
    let asset = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text) })
    };
    Router::new()
        .route("/", asset("text/html; charset=utf-8", include_str!("page/index.html")))
        .route("/page.css", asset("text/css; charset=utf-8", include_str!("page/page.css")))
        .route("/page.js", asset("text/javascript; charset=utf-8", include_str!("page/page.js")))
        .route("/api/now", get(|State(page): State<Arc<Page>>| async move { json(api::now(&page)) }))
        .route(
            "/api/fields",
            get(|State(page): State<Arc<Page>>, RawQuery(query): RawQuery| async move {
                api::fields(&page, &query.unwrap_or_default()).map_or_else(bad_request, json)
            }),
        )
        .route("/api/fields/{image}", get(field))
        .route("/api/fields/{image}/{layer}", get(picture))
        .route(
            "/api/quality",
            get(|State(page): State<Arc<Page>>, RawQuery(query): RawQuery| async move {
                api::quality(&page, &query.unwrap_or_default()).map_or_else(bad_request, json)
            }),
        )
        .route("/api/drift", get(|State(page): State<Arc<Page>>| async move { json((page.drift)()) }))
        .route(
            "/api/configuration",
            get(|State(page): State<Arc<Page>>| async move {
                (
                    [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")],
                    (page.configuration)(),
                )
            }),
        )
        .layer(map_response(guarded))
        .with_state(page)
}

async fn guarded(mut response: Response) -> Response {
    for (name, value) in GUARDS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

async fn field(State(page): State<Arc<Page>>, Path(image): Path<String>) -> Response {
    ImageId::new(&image).ok().and_then(|image| api::field(&page, &image)).map_or_else(unknown, json)
}

async fn picture(State(page): State<Arc<Page>>, Path((image, layer)): Path<(String, String)>) -> Response {
    let layer = layer.strip_suffix(".png").and_then(Layer::named);
    // An image's name is never a path: it has no separator in it, and no leading dot.
    let Some((image, layer)) = ImageId::new(&image).ok().zip(layer) else { return unknown() };
    let Ok(permit) = page.drawing.clone().acquire_owned().await else { return unknown() };
    let drawn = tokio::task::spawn_blocking(move || {
        let _permit = permit; // held until it is drawn, even if nobody waits for it any more
        (page.pictures)(&image, layer)
    });
    match drawn.await {
        Ok(Ok(Some(png))) => {
            ([(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "private, max-age=3600")], png)
                .into_response()
        }
        Ok(Ok(None)) => unknown(),
        Ok(Err(message)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &message),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "drawing it failed"),
    }
}

fn json(body: impl Serialize) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    match serde_json::to_string(&body) {
        Ok(text) => (headers, text).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn problem(status: StatusCode, message: &str) -> Response {
    (status, json(serde_json::json!({ "error": message }))).into_response()
}

fn bad_request(message: String) -> Response {
    problem(StatusCode::BAD_REQUEST, &message)
}

fn unknown() -> Response {
    problem(StatusCode::NOT_FOUND, "there is no such thing here (any more)")
}

#[cfg(test)]
mod tests;
