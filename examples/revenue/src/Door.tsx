import type { ReactNode } from 'react'
import { Title } from './Title.tsx'

export function Brand() {
  return (
    <p className="brand">
      <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M9 23v-6m7 6V9m7 14v-9" />
      </svg>
      Fernhill
    </p>
  )
}

interface DoorProps {
  readonly title: string
  readonly fault: string | undefined
  readonly children: ReactNode
}

/** What those see who aren't in. */
export function Door({ title, fault, children }: DoorProps) {
  return (
    <main className="door">
      <Brand />
      <div className="card">
        <Title>{title}</Title>
        {fault && (
          <p role="alert" className="notice bad">
            {fault}
          </p>
        )}
        {children}
      </div>
    </main>
  )
}
