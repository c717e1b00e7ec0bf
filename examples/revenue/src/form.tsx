import { LatchkeyError } from 'latchkey/client'
import { type ReactNode, type SubmitEvent, useEffect, useId, useRef, useState } from 'react'
import { explain } from './words.ts'

/** What is wrong, by the name of the field; by '' what is about no single one. */
export type Faults = Readonly<Record<string, string>>

export interface Fields {
  readonly name: string
  readonly email: string
  readonly password: string
}

/** A form that is sent once at a time. @param send rejects with what Latchkey said */
export function useForm(send: (fields: Fields) => Promise<void>) {
  const [faults, setFaults] = useState<Faults>({})
  const [isBusy, setBusy] = useState(false)
  const form = useRef<HTMLFormElement>(null)

  useEffect(() => {
    if (Object.keys(faults).length > 0)
      form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus()
  }, [faults])

  async function onSubmit(event: SubmitEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault()
    if (isBusy) return
    const missing = missingIn(event.currentTarget)
    setFaults(missing)
    if (Object.keys(missing).length > 0) return
    setBusy(true)
    try {
      await send(Object.fromEntries(new FormData(event.currentTarget)) as unknown as Fields)
    } catch (error) {
      setFaults(faultsOf(error))
    } finally {
      setBusy(false)
    }
  }

  return { form: { ref: form, onSubmit, noValidate: true }, faults, isBusy }
}

/** What can be told without asking. */
function missingIn(form: HTMLFormElement): Faults {
  const faults: Record<string, string> = {}
  for (const field of form.querySelectorAll('input')) {
    if (field.validity.valueMissing) faults[field.name] = `Enter your ${field.name}.`
    else if (!field.validity.valid) faults[field.name] = 'Enter an address such as name@example.com.'
  }
  return faults
}

function faultsOf(error: unknown): Faults {
  if (!(error instanceof LatchkeyError)) return { '': explain(error) }
  if (error.code === 'email_taken') return { email: explain(error) }
  if (error.errors.length === 0) return { '': explain(error) }
  // Latchkey names the field, and says what it must be: 'must have at least 15 characters'.
  const faults: Record<string, string> = {}
  for (const { path, message } of error.errors) {
    faults[path] = faults[path] === undefined ? `It ${message}` : `${faults[path]}, and ${message}`
  }
  return Object.fromEntries(Object.entries(faults).map(([path, text]) => [path, `${text}.`]))
}

interface FieldProps {
  readonly label: string
  readonly name: keyof Fields
  readonly type: 'text' | 'email' | 'password'
  readonly autoComplete: string
  readonly faults: Faults
  readonly hint?: string
}

/** A labelled field with its hint, and what is wrong with it. */
export function Field({ label, name, type, autoComplete, faults, hint }: FieldProps) {
  const id = useId()
  const [isShown, setShown] = useState(false)
  const fault = faults[name]
  const isSecret = type === 'password'
  const described = [fault && `${id}-fault`, hint && `${id}-hint`].filter(Boolean).join(' ')
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="entry">
        <input
          id={id}
          name={name}
          type={isSecret && isShown ? 'text' : type}
          autoComplete={autoComplete}
          autoCapitalize={type === 'text' ? 'words' : 'none'}
          spellCheck={false}
          required
          aria-invalid={fault !== undefined}
          aria-describedby={described || undefined}
        />
        {isSecret && (
          <button type="button" className="plain" aria-pressed={isShown} onClick={() => setShown(!isShown)}>
            Show
          </button>
        )}
      </div>
      {fault && (
        <p id={`${id}-fault`} className="fault" role="alert">
          {fault}
        </p>
      )}
      {hint && (
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      )}
    </div>
  )
}

/** The button that sends the form. While that goes on it keeps the focus, and does nothing. */
export function Send({ isBusy, children }: { readonly isBusy: boolean; readonly children: ReactNode }) {
  return (
    <button type="submit" className="main" aria-disabled={isBusy}>
      {children}
    </button>
  )
}
