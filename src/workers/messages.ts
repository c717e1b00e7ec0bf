/** What the supervisor tells a worker. */
export type ToWorker =
  /** Here is a connection; it comes with the message. */
  | { readonly type: 'connection'; readonly id: number }
  /** Say that you are on your way out, and answer what comes. */
  | { readonly type: 'drain' }
  /** No connection comes after this. */
  | { readonly type: 'last' }
  /** Read the secrets again. */
  | { readonly type: 'reload' }

/** What a worker tells the supervisor. */
export type ToSupervisor =
  /** Connections can come. */
  | { readonly type: 'ready' }
  /** The connection has arrived. */
  | { readonly type: 'taken'; readonly id: number }
  /** I am on my way out by myself: send no more. */
  | { readonly type: 'leaving' }
