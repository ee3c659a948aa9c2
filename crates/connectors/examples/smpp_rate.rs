//! How many submits a second one session carries over loopback, beside an SMSC that answers at once.
//!
//! `cargo run --release -p swingbridge-connectors --example smpp_rate -- [SECONDS]`

use anyhow::Context;
use bytes::BytesMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use swingbridge_connectors::smpp::metrics::Meters;
use swingbridge_connectors::smpp::session::{Io, Limits, Session, open};
use swingbridge_wire::smpp::{
    Address, Bind, BindResp, Body, Framer, MessageResp, Pdu, Sm, VERSION_3_4, decode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let seconds = std::env::args()
        .nth(1)
        .map_or(Ok(2), |text| text.parse())
        .context("seconds")?;
    println!("{:>8} {:>14}", "window", "submits/s");
    for window in [1, 10, 100, 1000] {
        println!(
            "{window:>8} {:>14.0}",
            rate(window, Duration::from_secs(seconds)).await?
        );
    }
    Ok(())
}

async fn rate(window: u16, during: Duration) -> anyhow::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let smsc = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        answer(stream).await
    });
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let limits = Limits {
        window,
        response: Duration::from_secs(10),
        enquire_link: Duration::from_secs(30),
    };
    let bind = Body::BindTransceiver(Bind {
        interface_version: VERSION_3_4,
        ..Bind::default()
    });
    let meters = Arc::new(Meters::new("rate"));
    let opened = open(
        Io::new(reader, writer),
        bind,
        Duration::from_secs(5),
        limits,
        meters,
    )
    .await?;
    let session = opened.session.clone();
    let running = tokio::spawn(async move {
        let (sender, _deliveries) = mpsc::channel(1);
        session.run(opened.io, sender).await
    });

    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..window {
        senders.spawn(send(opened.session.clone(), done.clone(), began + during));
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    let rate = done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    opened.session.unbind(Duration::from_secs(1)).await;
    running.await?;
    smsc.await??;
    Ok(rate)
}

async fn send(session: Session, done: Arc<AtomicU64>, until: Instant) -> anyhow::Result<()> {
    let sm = Sm {
        source: Address::new(1, 1, "447700900001"),
        destination: Address::new(1, 1, "447700900123"),
        registered_delivery: 1,
        short_message: vec![b'x'; 81].into(),
        ..Sm::default()
    };
    while Instant::now() < until {
        session.submit(sm.clone()).await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// The other side: reads all there is, answers it in one write.
async fn answer(mut stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut out, mut given) = (BytesMut::new(), BytesMut::new(), 0u64);
    loop {
        buffer.reserve(64 * 1024);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        while let Some(frame) = Framer::default().next_frame(&mut buffer)? {
            let pdu = decode(&frame)?;
            let body = match pdu.body {
                Body::BindTransceiver(_) => Body::BindTransceiverResp(BindResp::default()),
                Body::SubmitSm(_) => {
                    given += 1;
                    Body::SubmitSmResp(MessageResp {
                        message_id: format!("{given:x}").into(),
                        ..MessageResp::default()
                    })
                }
                Body::Unbind => Body::UnbindResp,
                _ => continue,
            };
            Pdu::new(pdu.sequence, body).encode(&mut out)?;
        }
        stream.write_all(&out).await?;
        out.clear();
    }
}
