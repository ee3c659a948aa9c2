//! Connections that can be broken from within a request, and all at once.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Breaks the connection that a request came by.
#[derive(Clone, Debug)]
pub(super) struct Line(Arc<AtomicBool>);

impl Line {
    /// From now on nothing is written: the peer sees the connection end without an answer.
    pub(super) fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Accepts connections while the homeserver is up. While it is down they end at once.
pub(super) struct Doors {
    pub listener: TcpListener,
    pub up: watch::Receiver<bool>,
}

pub(super) struct Wire {
    stream: TcpStream,
    line: Line,
    down: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Listener for Doors {
    type Io = Wire;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Wire, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if !*self.up.borrow() {
                continue;
            }
            let mut up = self.up.clone();
            let down = Box::pin(async move {
                // An error means that the stub is gone, which ends the connection as well.
                let _ = up.wait_for(|up| !up).await;
            });
            return (
                Wire {
                    stream,
                    line: Line(Arc::default()),
                    down,
                },
                address,
            );
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Doors>> for Line {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        stream.io().line.clone()
    }
}

impl Wire {
    fn broken(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let down = self.down.as_mut().poll(context).is_ready();
        if down || self.line.0.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.broken(context)?;
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.broken(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
