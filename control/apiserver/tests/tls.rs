//! Over a real socket: TLS, client certificates, kube-rs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::SystemTime;

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
