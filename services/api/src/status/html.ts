const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** A piece of HTML that needs no more escaping. */
export class Html {
  constructor(readonly text: string) {}
}

/** HTML with values in it: texts are escaped, pieces of HTML are not. */
export function html(
  parts: TemplateStringsArray,
  ...values: readonly (string | number | Html | readonly Html[])[]
): Html {
  const written = values.map((value) => {
    if (value instanceof Html) return value.text
    if (typeof value === 'object') return value.map(({ text }) => text).join('')
    return String(value).replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? '')
  })
  return new Html(parts.reduce((text, part, index) => `${text}${written[index - 1] ?? ''}${part}`))
}
