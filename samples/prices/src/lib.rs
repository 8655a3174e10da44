//! Exports an interface of its own, and nothing else: its siblings in the Pod call it. It has its own environment
//! (`CURRENCY`), and one instance, which keeps its memory between calls.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use bindings::exports::shop::prices::quotes::{Guest, GuestBasket};

mod bindings {
    wit_bindgen::generate!({ path: "../wit/prices", world: "prices" });
    use super::Prices;
    export!(Prices);
}

struct Prices;

static GIVEN: AtomicU64 = AtomicU64::new(0);

impl Guest for Prices {
    type Basket = Basket;

    fn quote(item: String) -> Result<u32, String> {
        GIVEN.fetch_add(1, Ordering::Relaxed);
        match item.as_str() {
            "apple" => Ok(30),
            "pear" => Ok(45),
            "trap" => panic!("prices was asked to trap"),
            "memory" => Ok(eat_memory()),
            _ => Err(format!("nobody sells {item}")),
        }
    }

    fn given() -> u64 {
        GIVEN.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Basket(RefCell<Vec<u32>>);

impl GuestBasket for Basket {
    fn new() -> Self {
        println!("a basket was taken");
        Self::default()
    }

    fn add(&self, item: String) -> Result<(), String> {
        self.0.borrow_mut().push(Prices::quote(item)?);
        Ok(())
    }

    fn total(&self) -> String {
        let cents: u32 = self.0.borrow().iter().sum();
        let currency = std::env::var("CURRENCY").unwrap_or_default();
        format!("{}.{:02} {currency}", cents / 100, cents % 100)
    }
}

impl Drop for Basket {
    fn drop(&mut self) {
        println!("a basket was put back");
    }
}

/// Ends at the container's limit.
fn eat_memory() -> u32 {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 1 << 20]);
    }
}
