//! An HTTP server and its clients on one thread, over pipes in memory.

use super::text::{word, words};
use bytes::Bytes;
use fastrand::Rng;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{json, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;

type Store = Rc<RefCell<BTreeMap<String, Value>>>;

async fn answer(
    request: Request<hyper::body::Incoming>,
    store: Store,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let key = request.uri().path().trim_start_matches('/').to_owned();
    let (status, body) = match *request.method() {
        Method::PUT => {
            let body = request.into_body().collect().await.map(|body| body.to_bytes());
            let value = body.ok().and_then(|body| serde_json::from_slice::<Value>(&body).ok());
            let mut store = store.borrow_mut();
            store.insert(key.clone(), value.unwrap_or(Value::Null));
            if store.len() > 150 {
                store.pop_first();
            }
            (StatusCode::CREATED, json!({ "stored": key }))
        }
        _ => match store.borrow().get(&key) {
            Some(value) => (StatusCode::OK, value.clone()),
            None => (StatusCode::NOT_FOUND, json!({ "error": format!("no {key}") })),
        },
    };
    let body = Full::new(Bytes::from(body.to_string()));
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(body).expect("a response"))
}

async fn client(seed: u64, store: Store) -> u64 {
    let (ours, theirs) = tokio::io::duplex(8 << 10);
    let service = service_fn(move |request| answer(request, store.clone()));
    let server = tokio::task::spawn_local(async move {
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(theirs), service)
            .await;
    });
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.expect("a connection");
    let connection = tokio::task::spawn_local(connection);
    let mut rng = Rng::with_seed(seed);
    let mut sum = 0;
    for _ in 0..60 {
        let put = rng.u8(..3) == 0;
        let uri = format!("http://shop.example/{}", word(&mut rng));
        let body = if put {
            let tags: Vec<String> = (0..rng.usize(..6)).map(|_| word(&mut rng)).collect();
            json!({ "text": words(&mut rng, 10), "tags": tags, "n": rng.u32(..) }).to_string()
        } else {
            String::new()
        };
        let request = Request::builder()
            .method(if put { Method::PUT } else { Method::GET })
            .uri(uri)
            .header("host", "shop.example")
            .header("x-request", rng.u64(..).to_string())
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        let response = sender.send_request(request).await.expect("a response");
        sum += u64::from(response.status().as_u16());
        sum += response.into_body().collect().await.expect("a body").to_bytes().len() as u64;
    }
    drop(sender);
    let _ = connection.await;
    let _ = server.await;
    sum
}

pub(crate) fn run(scale: u32) -> u64 {
    let mut sum = 0;
    for round in 0..u64::from(scale) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let local = tokio::task::LocalSet::new();
        sum += local.block_on(&runtime, async {
            let store = Store::default();
            let clients: Vec<_> = (0..16)
                .map(|n| tokio::task::spawn_local(client(round * 16 + n, store.clone())))
                .collect();
            let mut sum = 0;
            for client in clients {
                sum += client.await.expect("no client panics");
            }
            sum
        });
    }
    sum
}
