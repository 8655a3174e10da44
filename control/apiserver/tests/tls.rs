//! Over a real socket: TLS, client certificates, kube-rs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use carob_pki::{Authority, KeyPair, Names};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams, WatchParams},
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use support::{Server, map};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(3600);

fn server_config(authority: &Authority, pair: &KeyPair) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap()
}

async fn config(address: SocketAddr, authority: &Authority, pair: &KeyPair) -> kube::Config {
    let text = carob_pki::kubeconfig(&format!("https://{address}"), authority.certificate(), pair);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let kubeconfig = Kubeconfig::read_from(file.path()).unwrap();
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

async fn client(address: SocketAddr, authority: &Authority, pair: &KeyPair) -> kube::Client {
    config(address, authority, pair).await.try_into().unwrap()
}

/// What a client without a certificate gets.
async fn nobody_gets_in(mut config: kube::Config) {
    config.auth_info = AuthInfo::default();
    let client = kube::Client::try_from(config).unwrap();
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
    let _ = rustls::crypto::ring::default_provider().install_default();
    let now = SystemTime::now();
    let authority = Authority::generate("carob", now).unwrap();
    let names = Names { dns: vec!["localhost".to_owned()], ips: vec!["127.0.0.1".parse().unwrap()] };
    let pair = authority.server("kube-apiserver", &names, now, HOUR).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::start().await;
    let (api, shutdown) = (server.api.clone(), CancellationToken::new());
    let (tls, stop) = (server_config(&authority, &pair), shutdown.clone());
    let serving = tokio::spawn(async move { api.serve(listener, tls, stop).await });

    let admin = authority.client("admin", "system:masters", now, HOUR).unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(client(address, &authority, &admin).await);
    let made = maps.create(&PostParams::default(), &serde_json::from_value(map("a")).unwrap()).await.unwrap();
    let mut events = maps.watch(&WatchParams::default(), &made.resource_version().unwrap()).await.unwrap().boxed();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(matches!(events.try_next().await.unwrap(), Some(kube::api::WatchEvent::Deleted(_))));

    let mut big: ConfigMap = serde_json::from_value(map("big")).unwrap();
    big.data = Some([("k".to_owned(), "x".repeat(4 << 20))].into());
    let refused = maps.create(&PostParams::default(), &big).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 413), "{refused:?}");
    nobody_gets_in(config(address, &authority, &admin).await).await;
    let stranger = Authority::generate("carob", now).unwrap().client("admin", "system:masters", now, HOUR).unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(client(address, &authority, &stranger).await);
    assert!(maps.get("a").await.is_err(), "another authority's certificate is worth nothing");

    shutdown.cancel();
    serving.await.unwrap();
    let left: Vec<_> = events.try_collect().await.unwrap();
    assert!(left.len() <= 1, "watches end with a bookmark when the server does: {left:?}");
}
