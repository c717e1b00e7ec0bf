/** Where a session is kept between two starts of an application. Bring your own by these three. */
export interface SessionStorage {
  getItem(key: string): string | null | undefined | Promise<string | null | undefined>
  setItem(key: string, value: string): void | Promise<void>
  removeItem(key: string): void | Promise<void>
  /** Whether other tabs see what is kept here. */
  readonly shared?: boolean
}

/** What localStorage and sessionStorage have. */
export interface WebStorage extends SessionStorage {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

/** Keeps the session as long as the page or process lives, and shows it to nobody. */
export function memoryStorage(): SessionStorage {
  const items = new Map<string, string>()
  return {
    getItem: (key) => items.get(key),
    setItem(key, value) {
      items.set(key, value)
    },
    removeItem(key) {
      items.delete(key)
    },
  }
}

/** Keeps the session in localStorage, where every tab sees it, or in sessionStorage, as long as its tab is open. */
export function webStorage(storage: WebStorage): WebStorage {
  return {
    getItem: (key) => storage.getItem(key),
    setItem: (key, value) => storage.setItem(key, value),
    removeItem: (key) => storage.removeItem(key),
    shared: true,
  }
}

/** Keeps the session in something that answers later, such as React Native's Keychain or AsyncStorage. */
export function asyncStorage({
  getItem,
  setItem,
  removeItem,
}: {
  getItem(key: string): Promise<string | null | undefined>
  setItem(key: string, value: string): Promise<unknown>
  removeItem(key: string): Promise<unknown>
}): SessionStorage {
  return {
    getItem,
    async setItem(key, value) {
      await setItem(key, value)
    },
    async removeItem(key) {
      await removeItem(key)
    },
  }
}
