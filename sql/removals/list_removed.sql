SELECT judged.id FROM ({judged}) AS judged WHERE judged.verdict = 'removed'
