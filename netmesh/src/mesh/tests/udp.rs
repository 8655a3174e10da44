use carob_net::{NetworkError, Protocol, UdpSocket};

use super::scene::{address, denied_flows, mesh, pod, receive, receive_now, send};

fn bind(network: &std::sync::Arc<dyn carob_net::Network>, at: &str) -> Box<dyn UdpSocket> {
    network.bind_udp(address(at)).unwrap()
}

#[tokio::test]
async fn datagrams_reach_who_is_bound_there_and_are_lost_otherwise() {
    let mesh = mesh();
    let (one, other) = (pod(&mesh, 2), pod(&mesh, 3));
    let (near, far) = (bind(&one, "0.0.0.0:1000"), bind(&other, "0.0.0.0:2000"));
    send(&*near, "hello", "10.244.0.3:2000").await.unwrap();
    assert_eq!(receive(&*far).await, ("hello".into(), address("10.244.0.2:1000")));
    send(&*far, "you", "10.244.0.2:1000").await.unwrap();
    assert_eq!(receive(&*near).await, ("you".into(), address("10.244.0.3:2000")));
    send(&*near, "nobody", "10.244.0.3:2001").await.unwrap();
    send(&*near, "", "10.244.0.3:2000").await.unwrap();
    assert_eq!(receive(&*far).await.0, "");
    assert!(receive_now(&*far).is_none());
    assert_eq!((one.traffic().sent, one.traffic().received), (11, 3));
}

#[tokio::test]
async fn loopback_is_the_pods_own() {
    let mesh = mesh();
    let (one, other) = (pod(&mesh, 2), pod(&mesh, 3));
    let (here, there) = (bind(&one, "127.0.0.1:53"), bind(&other, "127.0.0.1:53"));
    let client = bind(&one, "0.0.0.0:0");
    send(&*client, "mine", "127.0.0.1:53").await.unwrap();
    let (text, from) = receive(&*here).await;
    assert_eq!((text.as_str(), from.ip()), ("mine", address("127.0.0.1:0").ip()));
    assert!(receive_now(&*there).is_none());
    assert_eq!(one.traffic(), carob_net::Traffic::default());
}

#[tokio::test]
async fn what_cannot_be_sent_says_why() {
    let mesh = mesh();
    let one = pod(&mesh, 2);
    let socket = bind(&one, "0.0.0.0:0");
    for (to, why) in [
        ("10.244.0.9:53", NetworkError::RemoteUnreachable),
        ("10.96.0.77:53", NetworkError::ConnectionRefused),
        ("[fd00::2]:53", NetworkError::RemoteUnreachable),
    ] {
        assert_eq!(send(&*socket, "x", to).await, Err(why), "{to}");
    }
    for to in ["224.0.0.251:5353", "255.255.255.255:67", "169.254.169.254:80", "0.0.0.0:53"] {
        assert!(matches!(send(&*socket, "x", to).await, Err(NetworkError::AccessDenied(_))), "{to}");
    }
    assert_eq!(denied_flows(&mesh, Protocol::Udp), 4);
    let long = "x".repeat(65_508);
    assert_eq!(send(&*socket, &long, "127.0.0.1:53").await, Err(NetworkError::DatagramTooLarge));
    assert_eq!(send(&*socket, &long[1..], "127.0.0.1:53").await, Ok(()));
}

#[tokio::test]
async fn a_receiver_is_woken_and_a_socket_that_is_gone_frees_its_port() {
    let mesh = mesh();
    let (one, other) = (pod(&mesh, 2), pod(&mesh, 3));
    let far = bind(&other, "0.0.0.0:2000");
    assert_eq!(other.bind_udp(address("0.0.0.0:2000")).err(), Some(NetworkError::AddressInUse));
    let receiving = tokio::spawn(async move { receive(&*far).await.0 });
    tokio::task::yield_now().await;
    send(&*bind(&one, "0.0.0.0:0"), "wake up", "10.244.0.3:2000").await.unwrap();
    assert_eq!(receiving.await.unwrap(), "wake up");
    assert!(other.bind_udp(address("0.0.0.0:2000")).is_ok());
}
