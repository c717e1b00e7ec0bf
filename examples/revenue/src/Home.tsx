import { useCallback, useEffect, useState } from 'react'
import { Dashboard } from './Dashboard.tsx'
import { Brand } from './Door.tsx'
import { latchkey } from './latchkey.ts'
import { usePolled } from './polled.ts'
import { Sessions } from './Sessions.tsx'
import { explain } from './words.ts'

/** What those see who are in. @param path the part of the address after #, which says what of it */
export function Home({ path }: { readonly path: string }) {
  const [fault, setFault] = useState<string>()
  const me = usePolled(useCallback((signal: AbortSignal) => latchkey.me({ signal }), []))
  const { look } = me
  // Other tokens may say something else, such as other roles.
  useEffect(
    () =>
      latchkey.onChange((event) => {
        if (event.type === 'refreshed') look()
      }),
    [look],
  )

  async function signOut() {
    setFault(undefined)
    try {
      await latchkey.logOut()
    } catch (error) {
      setFault(`You could not be signed out. ${explain(error)}`)
    }
  }

  // Latchkey answers again: what was said of it is over.
  useEffect(() => {
    if (me.at) setFault(undefined)
  }, [me.at])

  const roles = me.value?.roles.filter((role) => role !== 'user')
  const isSessions = path === '#sessions'
  return (
    <>
      <header>
        <div className="wide">
          <Brand />
          <nav aria-label="Views">
            <a href="#revenue" aria-current={isSessions ? undefined : 'page'}>
              Revenue
            </a>
            <a href="#sessions" aria-current={isSessions ? 'page' : undefined}>
              Sessions
            </a>
          </nav>
          {roles && <span className="role">{roles.join(', ') || 'no role yet'}</span>}
          <button type="button" onClick={signOut}>
            Sign out
          </button>
        </div>
      </header>
      <main className="wide">
        {fault && (
          <p role="alert" className="notice bad">
            {fault}
          </p>
        )}
        {isSessions ? <Sessions me={me} /> : <Dashboard me={me} />}
      </main>
    </>
  )
}
