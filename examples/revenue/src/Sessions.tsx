import type { Claims, Session } from 'latchkey/client'
import { useRef, useState } from 'react'
import { deviceOf } from './device.ts'
import { latchkey } from './latchkey.ts'
import { type Polled, usePolled } from './polled.ts'
import { Title } from './Title.tsx'
import { Trouble } from './Trouble.tsx'
import { count, explain, when } from './words.ts'

async function loadAccount(signal: AbortSignal) {
  const [account, sessions] = await Promise.all([
    latchkey.account.read({ signal }),
    latchkey.sessions.list({ signal }),
  ])
  return { account, sessions }
}

/** The account, and where it is signed in. */
export function Sessions({ me }: { readonly me: Polled<Claims> }) {
  const loaded = usePolled(loadAccount)
  const [done, setDone] = useState('')
  const [fault, setFault] = useState('')
  const list = useRef<HTMLUListElement>(null)
  const { account, sessions } = loaded.value ?? {}
  const others = sessions?.filter(({ current }) => !current) ?? []

  /** @param ended says what is done then */
  async function end(run: () => Promise<void>, ended: string) {
    setDone('')
    setFault('')
    try {
      await run()
      setDone(ended)
      // The button that had it is about to go.
      list.current?.focus()
    } catch (error) {
      setFault(explain(error))
    }
    await loaded.reload()
  }

  return (
    <div className="account">
      <div className="head">
        <div>
          <Title>Sessions</Title>
          {account && (
            <p>
              {account.name} ({account.email})
            </p>
          )}
        </div>
        {sessions && (
          <button
            type="button"
            disabled={others.length === 0}
            onClick={() =>
              end(
                () => latchkey.logOut({ scope: 'others' }),
                `${count(others.length, 'other session')} signed out.`,
              )
            }
          >
            Sign out the others
          </button>
        )}
      </div>
      <Trouble of={[loaded, me]} />
      {fault && (
        <p role="alert" className="notice bad">
          {fault}
        </p>
      )}
      <p role="status" className={done ? 'notice' : 'unseen'}>
        {done}
      </p>
      {sessions ? (
        <ul ref={list} tabIndex={-1} className="card sessions" aria-label="Where you are signed in">
          {sessions.toSorted(byCurrent).map((session) => (
            <Item
              key={session.id}
              session={session}
              end={() =>
                end(() => latchkey.sessions.end(session.id), `${deviceOf(session.user_agent)} is signed out.`)
              }
            />
          ))}
        </ul>
      ) : (
        <div className="skeleton">
          <p role="status" className="unseen">
            Loading …
          </p>
          <div className="card" aria-hidden="true">
            <i />
            <i />
          </div>
        </div>
      )}
    </div>
  )
}

const byCurrent = (a: Session, b: Session) =>
  Number(b.current) - Number(a.current) || b.last_used_at.localeCompare(a.last_used_at)

function Item({ session, end }: { readonly session: Session; readonly end: () => Promise<void> }) {
  const { id, user_agent, ip, created_at, last_used_at, current } = session
  return (
    <li aria-labelledby={`device-${id}`}>
      <div>
        <h2 id={`device-${id}`}>{deviceOf(user_agent)}</h2>
        <p>Last used {when(new Date(last_used_at))}</p>
        <p>
          Signed in {when(new Date(created_at))}, from {ip}
        </p>
      </div>
      {current ? (
        <span className="badge">This one</span>
      ) : (
        <button type="button" aria-describedby={`device-${id}`} onClick={end}>
          Sign out
        </button>
      )}
    </li>
  )
}
