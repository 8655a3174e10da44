//! Over a real socket: TLS, client certificates, kube-rs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, SystemTime};

use carob_apiserver::{Config, Limits};
use carob_pki::Authority;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, PostParams, WatchParams},
    config::AuthInfo,
};
use support::{
    Server, map,
    tls::{Listening, administrator},
};

/// What a client without a certificate gets.
async fn nobody_gets_in(config: kube::Config) {
    let client = Client::try_from(config).unwrap();
    let ask = |path: &str| client.request_text(http::Request::get(path).body(Vec::new()).unwrap());
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        ask(path).await.unwrap();
    }
    for path in ["/", "/api", "/apis", "/metrics", "/openapi/v2", "/openapi/v3", "/api/v1/pods", "/nothing"] {
        match ask(path).await {
            Err(kube::Error::Api(status)) => {
                assert_eq!((status.code, &*status.reason), (401, "Unauthorized"), "{path}")
            }
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn kube_rs_over_tls() {
    let server = Server::start().await;
    let listening = Listening::start(&server).await;
    let config = listening.config(&listening.admin()).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(config.try_into().unwrap());
    let made = maps.create(&PostParams::default(), &serde_json::from_value(map("a")).unwrap()).await.unwrap();
    let mut events = maps.watch(&WatchParams::default(), &made.resource_version().unwrap()).await.unwrap().boxed();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(matches!(events.try_next().await.unwrap(), Some(kube::api::WatchEvent::Deleted(_))));

    let mut big: ConfigMap = serde_json::from_value(map("big")).unwrap();
    big.data = Some([("k".to_owned(), "x".repeat(4 << 20))].into());
    let refused = maps.create(&PostParams::default(), &big).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 413), "{refused:?}");
    nobody_gets_in(listening.config_with(AuthInfo::default()).await).await;
    let stranger = Authority::generate("carob", SystemTime::now()).unwrap();
    let config = listening.config(&administrator(&stranger)).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(config.try_into().unwrap());
    assert!(maps.get("a").await.is_err(), "another authority's certificate is worth nothing");

    listening.stop().await;
    let left: Vec<_> = events.try_collect().await.unwrap();
    assert!(left.len() <= 1, "watches end with a bookmark when the server does: {left:?}");
}

#[tokio::test]
async fn what_is_too_much_is_turned_away() {
    let limits = Limits { mutating: 0, ..Limits::default() };
    let server = Server::with(Config { limits, ..Config::default() }).await;
    let listening = Listening::start(&server).await;
    let maps = |config: kube::Config| -> Api<ConfigMap> { Api::default_namespaced(config.try_into().unwrap()) };
    let object = serde_json::from_value(map("a")).unwrap();

    let people = maps(listening.config(&listening.member("people")).await);
    let refused = people.create(&PostParams::default(), &object).await.unwrap_err();
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.code == 429 && status.reason == "TooManyRequests"),
        "{refused:?}"
    );
    assert!(people.list(&Default::default()).await.unwrap().items.is_empty(), "reading has places of its own");
    let masters = maps(listening.config(&listening.admin()).await);
    masters.create(&PostParams::default(), &object).await.unwrap();
    listening.stop().await;
}

#[tokio::test]
async fn a_connection_too_many_is_closed() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let server = Server::with(Config { limits, ..Config::default() }).await;
    let listening = Listening::start(&server).await;
    let ask = async || {
        let client = Client::try_from(listening.config_with(AuthInfo::default()).await).unwrap();
        let answer = client.request_text(http::Request::get("/version").body(Vec::new()).unwrap()).await;
        (client, answer)
    };
    let (first, answer) = ask().await;
    answer.unwrap();
    assert!(matches!(ask().await.1, Err(error) if !matches!(error, kube::Error::Api(_))));
    drop(first);
    // The server notices the end of the first connection in its own time.
    let served = async {
        while ask().await.1.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), served).await.expect("the place of the first is free again");
    listening.stop().await;
}
