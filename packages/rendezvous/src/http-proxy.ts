/** A request to the API that came over a connection to the ID server. */
export interface ProxiedRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Begins with `/api/`; with the query. */
  readonly path: string
  readonly headers: readonly HttpHeader[]
  readonly body: Uint8Array
}

export interface ProxiedAnswer {
  readonly status: number
  readonly headers: readonly HttpHeader[]
  /** Not compressed. */
  readonly body: Uint8Array
}

export interface HttpHeader {
  readonly name: string
  readonly value: string
}

/** The API, for clients that get no further than the ID server. */
export interface HttpProxy {
  /**
   * Whatever status the API answers with is an answer; rejects when there is none in time.
   *
   * @param clientIp whose request it is: the API counts by it
   */
  ask(request: ProxiedRequest, clientIp: string): Promise<ProxiedAnswer>
}
