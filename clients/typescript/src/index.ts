export { Book, type Level, type State } from "./book.js";
export { type Client, clientOf, type ConnectOptions } from "./client.js";
export { Decimal } from "./decimal.js";
export { followBook, provenBook } from "./followBook.js";
export { cancel, executions, NotPlaced, place } from "./orders.js";
export { pages } from "./pages.js";
export { reasonOf, subscribe, type Subscription } from "./stream.js";
export { type Cell, MalformedBatch, readBatch, rowsOf, type Table, word } from "./table.js";
