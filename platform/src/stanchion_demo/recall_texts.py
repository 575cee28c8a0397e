"""The recall of the Aurora's battery: what customers ask of it, what the handbook says, and what the bot answers."""

# ruff: noqa: E501, ISC004 - a text stands on one line where that reads best

from __future__ import annotations

from stanchion_demo.support_texts import HELLO, Topic

RECALL = Topic(
    "recall",
    (
        "[I read|I have read|My neighbour told me] that the battery of the Aurora e-bike is being recalled. Mine is from {ordered}, order {order}, and it [gets warm|gets very warm] when charging, mostly in the "
        "last half hour. [Should I stop using it?|Is it safe to charge it indoors?] What do I have to do to get a new one, how long does that take, and may I ride without it until then?",
        "Recall notice for the Aurora battery: how do I [find|check] whether my serial number is affected? The bike [stands|is] in {city}, I bought it {months} months ago, and the sticker is [scratched|hard to read]. "
        "I also have a second battery from a friend; does that one count as well?",
        f"{HELLO} I filled in the recall form {{weeks}} weeks ago and have heard nothing. I need the bike for [work|the school run] every day and the bus takes {{days}}0 minutes longer. Is there a [loan battery|replacement], "
        "and who pays for the tickets in the meantime? Order {order}.",
        "The partner workshop in {city} says it knows nothing about the Aurora recall and wants {fee} to look at the battery. [Who pays for that?|That cannot be right.] They also said I must not post it. So how does it get to you?",
    ),
    (
        "Please stop charging the battery and keep it [away from anything that burns|in a cool place outdoors]. Batteries with a serial number from AU23-04 to AU23-11 are replaced free of charge: register order {order} on the recall page and we send a "
        "certified box. The replacement leaves within ten working days of the registration. You may ride with the motor off.",
        "The serial number is on the underside of the battery, beside the lock: AU, two digits for the year and two for the month. Affected are AU23-04 to AU23-11. If it cannot be read, a partner workshop reads it from the controller at no cost to you, in {city} too.",
        "Your registration for {order} is in the list with number {ticket}. The certified box is planned for {due}. There are no loan batteries, but we refund tickets of up to €40.00 a week until the new battery has arrived; please keep the receipts.",
        "The check is free for you: the workshop bills us under recall number R-17. Please do not post the battery in an ordinary parcel; {carrier} brings a certified box and takes it away. I have noted the workshop in {city} for a call.",
    ),
    (
        "How long [does it take|will it take] in all?",
        "And if it [starts to smoke|smells burnt]?",
        "Does the recall change my warranty?",
    ),
    (
        "From the registration: about ten working days for the box and ten more for the new battery.",
        "Then leave the room, call the fire brigade and do not touch the battery. I am handing you over to a technician now under {ticket}.",
        "No. The new battery has its own warranty of two years or 500 full charges.",
    ),
    (
        (
            "Recall R-17: Aurora e-bike battery",
            "Batteries with serial numbers AU23-04 to AU23-11 may overheat while charging. Customers stop charging, register on the recall page and receive a certified box; the replacement leaves within ten working days. "
            "Riding with the motor off is safe.",
        ),
        (
            "Recall R-17: costs",
            "Checks at partner workshops are billed to Birchwood under recall number R-17. Tickets for public transport are refunded up to €40.00 a week against receipts. There are no loan batteries.",
        ),
    ),
    (
        "Order {order}, Aurora e-bike. The customer stops charging the battery and keeps it in a cool place outdoors, away from anything that burns. "
        "Batteries with a serial number from AU23-04 to AU23-11 are replaced free of charge: order {order} is registered on the recall page and we "
        "send a certified box. The replacement leaves within ten working days of the registration; riding with the motor off is safe. The serial "
        "number is on the underside of the battery, beside the lock: AU, two digits for the year and two for the month. If it cannot be read, a "
        "partner workshop reads it from the controller at no cost, in {city} too. The registration for {order} is in the list with number {ticket}; "
        "the certified box is planned for {due}. There are no loan batteries, but tickets of up to €40.00 a week are refunded until the new battery "
        "has arrived; the receipts are kept. The check is free: the workshop bills us under recall number R-17. The battery must not be posted in an "
        "ordinary parcel; {carrier} brings a certified box and takes it away. The workshop in {city} is noted for a call. From the registration it "
        "takes about ten working days for the box and ten more for the new battery. If it smokes, the customer leaves the room, calls the fire "
        "brigade and does not touch the battery; a technician takes over under {ticket}. The new battery has its own warranty of two years or 500 "
        "full charges."
    ),
)
