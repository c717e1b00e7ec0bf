import { useSyncExternalStore } from 'react'
import { Door } from './Door.tsx'
import { Home } from './Home.tsx'
import { SignIn } from './SignIn.tsx'
import { SignUp } from './SignUp.tsx'
import { useSession } from './session.ts'
import { explain } from './words.ts'

function onHash(changed: () => void): () => void {
  addEventListener('hashchange', changed)
  return () => removeEventListener('hashchange', changed)
}

/** The whole page: which view there is follows from the session and from the part of the address after #. */
export function App() {
  const [session, open] = useSession()
  const path = useSyncExternalStore(onHash, () => location.hash)

  switch (session.is) {
    case 'opening':
      return <p className="opening">Opening …</p>
    case 'unknown':
      return (
        <Door title="Just a moment" fault={explain(session.error)}>
          <p>If you were signed in you still are: this page goes on by itself as soon as it can.</p>
          <button type="button" onClick={open}>
            Try again
          </button>
        </Door>
      )
    case 'out':
      return path === '#sign-up' ? <SignUp /> : <SignIn reason={session.reason} />
    case 'in':
      // A key of its own: nothing of one session is left for the next.
      return <Home key={session.since} path={path} />
  }
}
