d.place >= %(first)s AND d.place < %(end)s
