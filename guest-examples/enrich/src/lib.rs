//! Checks an order and emits one record per line item. Accepting the order and producing its lines are one step: either
//! both are durable or neither is.
use serde::{Deserialize, Serialize};
use sharemill_handler::{Outcome, Outgoing, Record, Reject, Result, ResultExt, handler};

#[cfg(test)]
mod tests;

#[derive(Deserialize)]
struct Order {
    id: String,
    customer: String,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    sku: String,
    quantity: i64,
    price_cents: i64,
}

#[derive(Serialize)]
struct OrderLine<'a> {
    order: &'a str,
    line: usize,
    sku: &'a str,
    quantity: i64,
    price_cents: i64,
    total_cents: i64,
}

#[handler]
fn handle(record: Record) -> Result {
    let order: Order = record.json().or_reject()?;
    check(&order)?;
    let mut lines = Vec::with_capacity(order.lines.len());
    for (
        line,
        &Line {
            ref sku,
            quantity,
            price_cents,
        },
    ) in (1..).zip(&order.lines)
    {
        let total_cents = quantity.checked_mul(price_cents).ok_or_else(|| {
            Reject::new(format_args!(
                "order {:?}: line {line}: the total is too large",
                order.id
            ))
        })?;
        let value = OrderLine {
            order: &order.id,
            line,
            sku,
            quantity,
            price_cents,
            total_cents,
        };
        lines.push(Outgoing::new("order-lines").key(order.id.as_str()).json(&value)?);
    }
    log::debug!("order {} of {}: {} lines", order.id, order.customer, lines.len());
    record.emit_all(lines)?;
    Ok(Outcome::accept())
}

fn check(order: &Order) -> Result<(), Reject> {
    let wrong = |what: String| Err(Reject::new(format_args!("order {:?}: {what}", order.id)));
    if order.id.is_empty() || order.customer.is_empty() {
        return wrong("id and customer must not be empty".into());
    }
    if order.lines.is_empty() {
        return wrong("there are no lines".into());
    }
    for (number, line) in (1..).zip(&order.lines) {
        if line.sku.is_empty() {
            return wrong(format!("line {number}: the sku is empty"));
        }
        if line.quantity < 1 {
            return wrong(format!("line {number}: quantity {} is not above 0", line.quantity));
        }
        if line.price_cents < 0 {
            return wrong(format!("line {number}: price_cents {} is below 0", line.price_cents));
        }
    }
    Ok(())
}
