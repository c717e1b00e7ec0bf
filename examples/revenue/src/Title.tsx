import { useEffect, useRef } from 'react'

let shown: string | undefined

/** The heading of a view. It takes the focus when the view changes, so that a screen reader goes along. */
export function Title({ children }: { readonly children: string }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${children} · Fernhill`
    if (shown !== undefined && shown !== children) heading.current?.focus()
    shown = children
  }, [children])
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children}
    </h1>
  )
}
