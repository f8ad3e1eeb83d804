//! How does a test script the listeners and read what they got?

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::answer::Answer;
use crate::serve::Provider;

type Providers = Arc<Vec<Arc<Provider>>>;

pub async fn listen(providers: Providers, listener: TcpListener) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(Arc::clone(&providers), stream));
        }
    }
}

async fn serve(providers: Providers, stream: TcpStream) {
    let service = service_fn(move |request| {
        let providers = Arc::clone(&providers);
        async move { Ok::<_, Infallible>(answer(&providers, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
        eprintln!("control: {error}");
    }
}

async fn answer(providers: &[Arc<Provider>], request: Request<Incoming>) -> Response<Full<Bytes>> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let (status, value) = match request.into_body().collect().await {
        Ok(body) => route(providers, &method, &path, &body.to_bytes()),
        Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn route(
    providers: &[Arc<Provider>],
    method: &Method,
    path: &str,
    body: &[u8],
) -> (StatusCode, Value) {
    let mut words = path.trim_matches('/').splitn(2, '/');
    let (name, verb) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let ok = |value: Value| (StatusCode::OK, value);
    match (method, name, verb) {
        (&Method::GET, "health", "") => return ok(json!({"ok": true})),
        (&Method::DELETE, "", "") => {
            providers.iter().for_each(|provider| forget(provider));
            return ok(json!({}));
        }
        _ => {}
    }
    let Some(provider) = providers.iter().find(|provider| provider.name == name) else {
        return failure(StatusCode::NOT_FOUND, &format!("there is no provider \"{name}\""));
    };
    match (method, verb) {
        (&Method::POST, "script") => match parse_script(body) {
            Ok(answers) => {
                provider.script.extend(answers);
                ok(json!({"script_left": provider.script.left()}))
            }
            Err(error) => failure(StatusCode::BAD_REQUEST, &error),
        },
        (&Method::DELETE, "") => {
            forget(provider);
            ok(json!({}))
        }
        (&Method::GET, "requests") => ok(provider.books.requests()),
        (&Method::GET, "state") => ok(provider.books.state(provider.script.left())),
        _ => failure(StatusCode::NOT_FOUND, &format!("\"{method} {path}\" means nothing here")),
    }
}

/// An array of answers; a single one need not be wrapped.
fn parse_script(body: &[u8]) -> Result<Vec<Answer>, String> {
    let parsed = if body.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice(body).map(|answer| vec![answer])
    } else {
        serde_json::from_slice(body)
    };
    parsed.map_err(|error| error.to_string())
}

fn forget(provider: &Provider) {
    provider.script.clear();
    provider.books.forget();
}

fn failure(status: StatusCode, message: &str) -> (StatusCode, Value) {
    (status, json!({"error": message}))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn providers() -> Vec<Arc<Provider>> {
        vec![Arc::new(Provider::new("first", Instant::now(), false))]
    }

    #[test]
    fn a_script_is_counted_and_forgotten() {
        let providers = providers();
        let post = |body: &[u8]| route(&providers, &Method::POST, "/first/script", body);
        assert_eq!(post(br#"[{"status":500},{}]"#).1["script_left"], 2);
        assert_eq!(post(b"{}").1["script_left"], 3);
        assert_eq!(route(&providers, &Method::DELETE, "/", b"").0, StatusCode::OK);
        let state = route(&providers, &Method::GET, "/first/state", b"").1;
        assert_eq!(state["script_left"], 0);
    }

    #[test]
    fn a_mistyped_script_is_refused_whole() {
        let providers = providers();
        let body = br#"[{"status":500},{"statsu":500}]"#;
        let (status, value) = route(&providers, &Method::POST, "/first/script", body);
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(value["error"].as_str().unwrap().contains("statsu"));
        assert_eq!(providers[0].script.left(), 0);
    }

    #[test]
    fn an_unknown_provider_is_not_found() {
        let found = route(&providers(), &Method::GET, "/second/state", b"");
        assert_eq!(found.0, StatusCode::NOT_FOUND);
    }
}
